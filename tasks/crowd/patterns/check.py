"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.read import check_table
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions

FLOW = "crowd-patterns"

COLUMNS = {
    "answers": ("worker", "antecedent", "consequent", "support", "confidence"),
    "simulate": ("worker", "items"),
    "rules": ("antecedent", "consequent"),
}


@in_one_line()
def absolute(settings: PatternsSettings) -> PatternsSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(update={name: absolute_file(getattr(settings, name)) for name in COLUMNS})


def input_fingerprints(settings: PatternsSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    given = {name: getattr(settings, name) for name in COLUMNS}
    found = {name: fingerprint([path]) if path else "" for name, path in given.items()}
    return {**found, "Sluice's version": versions()["sluice"]}


@in_one_line()
def check_inputs(settings: PatternsSettings) -> None:
    """What can be known without reading all rows.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(FLOW, settings)
    check_runs_dir(FLOW, settings)
    for name, columns in COLUMNS.items():
        for column in columns if getattr(settings, name) else ():
            check_table(getattr(settings, name), {f"--{name}": column}, f"--{name}")
