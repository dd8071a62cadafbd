"""What another campaign knew of the same workers, as counts of answers that they have given already."""

from __future__ import annotations

import math

import numpy as np

from tasks.corpus.formats import Broken, cell_text, path_of, read_records
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
    rows = [record for _, record in read_records(path_of(name)) if not isinstance(record, Broken)]
    worker = codes_of([cell_text(row.get("worker")) for row in rows], answers.workers)
    given = np.array([_number(row.get("answers"), name, flag) for row in rows])
    if matrices:
        truth = codes_of([cell_text(row.get("truth")) for row in rows], answers.labels)
        label = codes_of([cell_text(row.get("label")) for row in rows], answers.labels)
        expected = given * [_number(row.get("probability"), name, flag, most=1) for row in rows]
        used = (worker >= 0) & (truth >= 0) & (label >= 0)
        np.add.at(counts, (worker[used], truth[used], label[used]), expected[used])
    else:
        quality = np.array([_number(row.get("quality"), name, flag, most=1) for row in rows])
        used = worker >= 0
        right, each = quality[used, None, None], given[used, None, None] / labels
        eye = np.eye(labels)
        counts[worker[used]] = each * (right * eye + (1 - right) * (1 - eye) / max(1, labels - 1))
    if not counts.any():
        what = "nobody in it" if (worker < 0).all() else "no label in it"
        raise BadInput(f"{flag} {name}: {what} is among those of the answers; leave it out")
    return counts * share


def _of_matrices(name: str, flag: str) -> bool:
    return {"truth", "label"} <= set(column_names(name, flag))


def _number(value: object, name: str, flag: str, most: float = math.inf) -> float:
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if not (math.isfinite(found) and 0 <= found <= most):
        raise BadInput(f"{flag} {name}: {str(value)[:40] or '(empty)'} is not a number that can stand there")
    return found
