"""Labels of the demonstrations: out of the labelled pairs, or from a person, in a file or in a form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.match.read import LABEL, LEFT, RIGHT
from tasks.match.serialise import record_text
from tasks.records import BadInput, Stopped
from tasks.resolve.prepare import POOL, load_pairs, load_selection
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.storage.sheets import as_text, from_text, read_sheet, write_csv
from tasks.storage.tables import read_json, write_json

Facts = dict[str, Any]

TO_LABEL = "to_label.csv"
LABELS = "stages/labels.json"
_YES = {"1": 1, "yes": 1, "y": 1, "true": 1, "0": 0, "no": 0, "n": 0, "false": 0}


def wanted_rows(run: Path) -> list[int]:
    """Rows of the pool whose labels the run uses."""
    selection = load_selection(run)
    return [*selection["labelled"], *selection["sample"]]


def labels(
    run: Path, settings: BatcherSettings, selected: Facts, answered: Mapping[str, bool] | None
) -> Facts:
    """The labels that are used, of which each counts.

    Args:
        answered: of a form, by row of the pool.

    Raises:
        Stopped: a person has to fill in to_label.csv first.
        BadInput: something in that file is no label.
    """
    rows = wanted_rows(run)
    pool = load_pairs(run / POOL)
    if settings.labels and pool.labels is not None:
        found = {str(row): int(pool.labels[row]) for row in rows}
    elif answered is not None:
        found = {name: int(match) for name, match in answered.items()}
    else:
        found = _from_file(run, settings, rows)
    write_json(run / LABELS, found)
    return {"files": [LABELS], "labels": len(found), "matches": sum(found.values())}


def load_labels(run: Path, rows: list[int]) -> np.ndarray:
    """Labels of some rows of the pool, int8."""
    found = read_json(run / LABELS)
    return np.array([found[str(row)] for row in rows], dtype=np.int8)


def _from_file(run: Path, settings: BatcherSettings, rows: list[int]) -> dict[str, int]:
    records, pool = records_of(settings), load_pairs(run / POOL)
    path = run / TO_LABEL
    names = [(records.left.ids[pool.left[row]], records.other.ids[pool.right[row]]) for row in rows]
    if not path.exists():
        lines = []
        for (left, right), row in zip(names, rows, strict=True):
            texts = (
                record_text(table, at, records.attributes)
                for table, at in ((records.left, pool.left[row]), (records.other, pool.right[row]))
            )
            lines.append([as_text(left), as_text(right), "", *map(as_text, texts)])
        write_csv(path, [LEFT, RIGHT, LABEL, "left", "right"], lines)
    given = _read(path, settings.run)
    missing = [name for name in names if name not in given]
    if missing:
        raise Stopped(
            f"{len(missing):,} of {len(names):,} pairs are not labelled: write 1 (the same) or 0 into the column {LABEL} "
            f"of {path}, then continue with --resume {settings.run}"
        )
    return {str(row): given[name] for row, name in zip(rows, names, strict=True)}


def _read(path: Path, run: str) -> dict[tuple[str, str], int]:
    """The labels that are filled in."""
    found: dict[tuple[str, str], int] = {}
    for number, line in read_sheet(path, (LEFT, RIGHT, LABEL), f"--resume {run}"):
        text = line[LABEL].casefold()
        if not text:
            continue
        if text not in _YES:
            raise BadInput(f"{path}:{number}: the {LABEL} is {text[:40]}; write 1 for the same and 0 for not")
        pair = from_text(line[LEFT]), from_text(line[RIGHT])
        if found.setdefault(pair, _YES[text]) != _YES[text]:
            raise BadInput(
                f"{path}:{number}: this pair is labelled twice, and otherwise before; keep one of the two"
            )
    return found
