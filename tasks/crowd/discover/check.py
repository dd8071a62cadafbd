"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.crowd.read import check_table
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions

FLOW = "crowd-discover"

_FILES = ("answers", "mapping")


@in_one_line()
def absolute(settings: DiscoverSettings) -> DiscoverSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(update={name: absolute_file(getattr(settings, name)) for name in _FILES})


def input_fingerprints(settings: DiscoverSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    given = {name: getattr(settings, name) for name in _FILES}
    found = {name: fingerprint([path]) if path else "" for name, path in given.items()}
    return {**found, "Sluice's version": versions()["sluice"]}


@in_one_line()
def check_inputs(settings: DiscoverSettings) -> None:
    """What can be known without reading all rows.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(FLOW, settings)
    check_runs_dir(FLOW, settings)
    if settings.answers:
        columns = {"--worker": settings.worker, "--entity": settings.entity}
        check_table(settings.answers, columns, "--answers")
    for column in ("name", "entity") if settings.mapping else ():
        check_table(settings.mapping, {"--mapping needs the column": column}, "--mapping")
