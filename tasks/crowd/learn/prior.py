"""What another campaign knew of the same workers, as counts of answers that they have given already."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tasks.corpus.formats import Record, cell_text, given_with, whole_records
from tasks.corpus.rows import column_names
from tasks.crowd.answers import Answers, codes_of
from tasks.crowd.read import check_table
from tasks.records import BadInput

_MATRIX = ("worker", "truth", "label", "probability", "answers")
_QUALITY = ("worker", "answers", "quality")


def check_prior(name: str, flag: str) -> None:
    """Whether the file has the columns of either form.

    Raises:
        BadInput: one line.
    """
    wanted = _MATRIX if _of_matrices(name, flag) else _QUALITY
    check_table(name, {f"{flag}, column": column for column in wanted if column != "worker"}, flag)


def read_prior(name: str, answers: Answers, share: float, flag: str) -> np.ndarray:
    """Counts of each worker, float64 (workers, labels true, labels given); 0 of one who is not in the file.

    Args:
        name: confusion.parquet of a run (worker, truth, label, probability, answers: those to tasks of this truth), or workers.csv
            (worker, answers, quality), whose errors are spread evenly over the labels. Labels that are not among the answers' are
            left out.
        share: of the other campaign's answers that count.

    Raises:
        BadInput: a row without numbers, or nobody in it is among the workers of these answers.
    """
    labels = len(answers.labels)
    counts = np.zeros((len(answers.workers), labels, labels))
    matrices = _of_matrices(name, flag)
    with given_with(flag):
        rows = dict(whole_records(name))
        given = _numbers(rows, "answers", name)
        part = _numbers(rows, "probability" if matrices else "quality", name, most=1)
    worker = codes_of([cell_text(row.get("worker")) for row in rows.values()], answers.workers)
    if matrices:
        truth = codes_of([cell_text(row.get("truth")) for row in rows.values()], answers.labels)
        label = codes_of([cell_text(row.get("label")) for row in rows.values()], answers.labels)
        used = (worker >= 0) & (truth >= 0) & (label >= 0)
        np.add.at(counts, (worker[used], truth[used], label[used]), (given * part)[used])
    else:
        used = worker >= 0
        right, each = part[used, None, None], given[used, None, None] / labels
        eye = np.eye(labels)
        counts[worker[used]] = each * (right * eye + (1 - right) * (1 - eye) / max(1, labels - 1))
    if not counts.any():
        what = "nobody in it" if (worker < 0).all() else "no label in it"
        raise BadInput(f"{flag} {name}: {what} is among those of the answers; leave it out")
    return counts * share


def _of_matrices(name: str, flag: str) -> bool:
    return {"truth", "label"} <= set(column_names(name, flag))


def _numbers(rows: Mapping[int, Record], column: str, name: str, most: float = math.inf) -> np.ndarray:
    """A column, float64 (n,), of numbers from 0 to `most`."""
    found = []
    for number, row in rows.items():
        try:
            value = float(row.get(column))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            value = math.nan
        if not (math.isfinite(value) and 0 <= value <= most):
            said = cell_text(row.get(column))[:40] or "(empty)"
            raise BadInput(f"{name}:{number}: {column}: {said} is not a number that can stand there")
        found.append(value)
    return np.array(found)
