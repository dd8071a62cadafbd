"""Labels of the demonstrations: out of the labelled pairs, or from a person, in a file or in a form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.match.read import LABEL, LEFT, RIGHT
from tasks.match.serialise import record_text
from tasks.records import Stopped
from tasks.resolve.prepare import POOL, load_pairs, load_selection
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.storage.sheets import as_text, read_verdicts, write_csv
from tasks.storage.tables import read_json, write_json

Facts = dict[str, Any]

TO_LABEL = "to_label.csv"
LABELS = "stages/labels.json"


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
    given = read_verdicts(path, (LEFT, RIGHT), LABEL, f"--resume {settings.run}")
    missing = [name for name in names if name not in given]
    if missing:
        raise Stopped(
            f"{len(missing):,} of {len(names):,} pairs are not labelled: write 1 (the same) or 0 into the column {LABEL} "
            f"of {path}, then continue with --resume {settings.run}"
        )
    return {str(row): int(given[name]) for row, name in zip(rows, names, strict=True)}
