"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.corpus.read import fingerprint
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.read import check_table, label_column
from tasks.records import BadInput
from tasks.run.folder import absolute_path, check_runs_dir, check_unused, in_one_line, versions

FLOW = "crowd-aggregate"


@in_one_line()
def absolute(settings: AggregateSettings) -> AggregateSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    paths = {name: absolute_path(getattr(settings, name)) for name in ("answers", "golden", "truth")}
    output = str(Path(settings.output).expanduser().absolute()) if settings.output else ""
    return settings.model_copy(update={**paths, "output": output})


def input_fingerprints(settings: AggregateSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    given = {name: getattr(settings, name) for name in ("answers", "golden", "truth")}
    found = {name: fingerprint([path]) if path else "" for name, path in given.items()}
    return {**found, "Sluice's version": versions()["sluice"]}


@in_one_line()
def check_inputs(settings: AggregateSettings) -> None:
    """What can be known without reading all answers.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(FLOW, settings)
    check_runs_dir(FLOW, settings)
    columns = {"--task": settings.task, "--worker": settings.worker, "--label": settings.label}
    check_table(settings.answers, columns, "--answers")
    for flag, path in (("--golden", settings.golden), ("--truth", settings.truth)):
        if path:
            check_table(path, {"--task": settings.task}, flag)
            label_column(path, flag)
    if settings.output:
        folder = Path(settings.output).parent
        if Path(settings.output).is_dir():
            raise BadInput(f"--output {settings.output}: this is a folder; name a file in it")
        if not folder.is_dir():
            raise BadInput(f"--output {settings.output}: no such folder: {folder}")
        if Path(settings.output).name == "workers.csv":
            raise BadInput("--output workers.csv: this name is taken by the workers; choose another")
        if not os.access(folder, os.W_OK):
            raise BadInput(f"--output {settings.output}: {folder} is not a folder that can be written to")
        given = {Path(one).resolve() for one in (settings.answers, settings.golden, settings.truth) if one}
        written = (Path(settings.output), Path(settings.output).with_name("workers.csv"))
        if taken := [str(one) for one in written if one.resolve() in given]:
            raise BadInput(
                f"--output {settings.output}: {taken[0]} is read, and would be overwritten; choose another"
            )
