"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.corpus.read import fingerprint
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.aggregate.tables import (
    LABEL_HEAD,
    NUMBER_HEAD,
    NUMBER_WORKER_HEAD,
    WORKER_HEAD,
    WORKERS,
)
from tasks.crowd.read import are_small, check_table, label_column
from tasks.records import BadInput
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions
from tasks.storage.sheets import csv_of

FLOW = "crowd-aggregate"


@in_one_line()
def absolute(settings: AggregateSettings) -> AggregateSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    paths = {name: absolute_file(getattr(settings, name)) for name in ("answers", "golden", "truth")}
    output = str(Path(settings.output).expanduser().absolute()) if settings.output else ""
    return settings.model_copy(update={**paths, "output": output})


def input_fingerprints(settings: AggregateSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    given = {name: getattr(settings, name) for name in ("answers", "golden", "truth")}
    found = {name: fingerprint([path]) if path else "" for name, path in given.items()}
    return {**found, "Sluice's version": versions()["sluice"]}


@in_one_line()
def check_inputs(settings: AggregateSettings) -> None:
    """What can be known in a moment: of many answers without reading them.

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
        _check_output(settings)
    if are_small(settings.answers, settings.golden, settings.truth):
        from tasks.crowd.aggregate.given import read_given

        read_given(settings)


def _check_output(settings: AggregateSettings) -> None:
    """Whether both tables can be written, and nothing but what an earlier run wrote there is lost."""
    output, flag = Path(settings.output), f"--output {settings.output}"
    if output.is_dir():
        raise BadInput(f"{flag}: this is a folder; name a file in it")
    if not output.parent.is_dir():
        raise BadInput(f"{flag}: no such folder: {output.parent}")
    if output.name == WORKERS:
        raise BadInput(f"{flag}: this name is taken by the workers; choose another")
    if not os.access(output.parent, os.W_OK):
        raise BadInput(f"{flag}: {output.parent} is not a folder that can be written to")
    given = {Path(one).resolve() for one in (settings.answers, settings.golden, settings.truth) if one}
    written = (
        (output, (LABEL_HEAD, NUMBER_HEAD)),
        (output.with_name(WORKERS), (WORKER_HEAD, NUMBER_WORKER_HEAD)),
    )
    for path, heads in written:
        if path.resolve() in given:
            raise BadInput(f"{flag}: {path} is read, and would be overwritten; choose another")
        if path.exists() and not _written_here(path, heads):
            raise BadInput(
                f"{flag}: {path} would be overwritten, and is not of crowd aggregate; move it, or choose another folder"
            )


def _written_here(path: Path, heads: Iterable[Sequence[str]]) -> bool:
    """Whether a file begins as a table of this flow does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline(1000) in {csv_of(head, []).encode() for head in heads}
