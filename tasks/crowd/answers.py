"""Who said what of which task, as integer codes, so that what is inferred of it is arithmetic on arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from tasks.records import BadInput

TASK, WORKER, LABEL = "task", "worker", "label"


class _Given:
    """What answers of either kind can be asked."""

    task: np.ndarray
    worker: np.ndarray
    tasks: Sequence[str]
    workers: Sequence[str]

    def __len__(self) -> int:
        return len(self.task)

    @cached_property
    def per_task(self) -> np.ndarray:
        """Answers to each task, int64 (tasks,)."""
        return np.bincount(self.task, minlength=len(self.tasks))

    @cached_property
    def per_worker(self) -> np.ndarray:
        """Answers of each worker, int64 (workers,)."""
        return np.bincount(self.worker, minlength=len(self.workers))


@dataclass(frozen=True)
class Answers(_Given):
    """Answers that are one of several labels, at most one for each worker and task.

    Args:
        task, worker, label: codes of each answer, int64 (n,), ordered by task.
        tasks, workers, labels: the names that the codes stand for.
        repeated: rows of a worker who had answered the task before, which were left out.
    """

    task: np.ndarray
    worker: np.ndarray
    label: np.ndarray
    tasks: Sequence[str]
    workers: Sequence[str]
    labels: Sequence[str]
    repeated: int = 0

    @cached_property
    def cell(self) -> np.ndarray:
        """Place of each answer in a table of tasks by labels, int64 (n,)."""
        return np.asarray(self.task * len(self.labels) + self.label)

    @cached_property
    def by_task(self) -> csr_array:
        """1 where a worker gave a label to a task: (tasks, workers x labels), label running fastest."""
        column = self.worker * len(self.labels) + self.label
        start = np.concatenate([[0], np.cumsum(self.per_task)])
        shape = (len(self.tasks), len(self.workers) * len(self.labels))
        return csr_array((np.ones(len(self)), column, start), shape=shape)

    def votes(self, weight: np.ndarray | None = None) -> np.ndarray:
        """Votes for each label, float64 (tasks, labels).

        Args:
            weight: of each answer, float64 (n,); 1 by default.
        """
        size = len(self.tasks) * len(self.labels)
        return np.bincount(self.cell, weight, size).astype(float).reshape(len(self.tasks), len(self.labels))

    def take(self, rows: np.ndarray) -> Answers:
        """Some of the answers, by place or mask; tasks, workers and labels keep their codes."""
        places = np.sort(np.flatnonzero(rows) if rows.dtype == bool else rows)
        return Answers(
            self.task[places],
            self.worker[places],
            self.label[places],
            self.tasks,
            self.workers,
            self.labels,
        )


@dataclass(frozen=True)
class Numbers(_Given):
    """Answers that are numbers, at most one for each worker and task; otherwise as `Answers`.

    Args:
        value: float64 (n,), finite.
    """

    task: np.ndarray
    worker: np.ndarray
    value: np.ndarray
    tasks: Sequence[str]
    workers: Sequence[str]
    repeated: int = 0


def answers_of(task: Any, worker: Any, label: Any, labels: Sequence[str] | None = None) -> Answers:
    """Answers from three columns of equal length, of names or of anything that can be hashed.

    Of a worker's answers to one task the first counts. Labels are in the order of their numbers where all are finite ones, or else of
    their names, so that ties fall alike whatever the order of rows.

    Args:
        labels: all labels there are, in this order; by default those that were given.

    Raises:
        BadInput: no answers, a task, worker or label that is missing, or a label that is not among `labels`.
    """
    codes, tasks, workers, kept, repeated = _coded(task, worker)
    _check_whole(LABEL, pd.isna(pd.Series(label)).to_numpy())
    given = pd.Series(label).astype(str).to_numpy()[kept]
    known = list(labels) if labels is not None else in_order(pd.unique(given))
    code = pd.Index(known).get_indexer(given)
    if (code < 0).any():
        raise BadInput(f"label {given[code < 0][0]!r}: not one of {', '.join(known)}")
    return Answers(codes[0], codes[1], code.astype(np.int64), tasks, workers, known, repeated)


def numbers_of(task: Any, worker: Any, value: Any) -> Numbers:
    """Numbers from three columns of equal length; as `answers_of`.

    Raises:
        BadInput: no answers, or one that is no finite number.
    """
    codes, tasks, workers, kept, repeated = _coded(task, worker)
    given = pd.Series(value)
    found = finite(given)
    if np.isnan(found).any():
        raise BadInput(f"answer {given[np.isnan(found)].iloc[0]!r}: not a number")
    return Numbers(codes[0], codes[1], found[kept], tasks, workers, repeated)


def finite(values: Any) -> np.ndarray:
    """A column as finite numbers, float64 (n,); nan of what is none."""
    found = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(float)
    return np.where(np.isfinite(found), found, np.nan)


def not_numbers(columns: Sequence[Sequence[str]]) -> dict[int, tuple[str, str]]:
    """Rows whose last cell is no finite number, each with a reason and the cell; for `tasks.crowd.read.read_table`."""
    cells = columns[-1]
    return {
        row: ("not a number", cells[row][:40]) for row in np.flatnonzero(np.isnan(finite(cells))).tolist()
    }


def in_order(labels: Sequence[str]) -> list[str]:
    """Labels by their numbers where all are finite ones, or else by name."""
    try:
        numbers = {label: float(label) for label in labels}
    except ValueError:
        return sorted(labels)
    if not all(map(math.isfinite, numbers.values())):  # nan has no place among numbers
        return sorted(labels)
    return sorted(labels, key=lambda label: (numbers[label], label))


def codes_of(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Places of names among those known, int64 (n,); -1 where a name is not."""
    return np.asarray(pd.Index(known).get_indexer(pd.Index(names).astype(str)), dtype=np.int64)


def _coded(
    task: Any, worker: Any
) -> tuple[tuple[np.ndarray, np.ndarray], list[str], list[str], np.ndarray, int]:
    """Codes of tasks and workers in the order of their first answers, and the places of the rows that count, by task."""
    task_code, tasks = pd.factorize(pd.Series(task))
    worker_code, workers = pd.factorize(pd.Series(worker))
    if not len(task_code):
        raise BadInput("no answers")
    _check_whole(TASK, task_code < 0)
    _check_whole(WORKER, worker_code < 0)
    order = np.argsort(task_code, kind="stable")
    pair = task_code[order] * len(workers) + worker_code[order]
    first = np.zeros(len(pair), dtype=bool)
    first[np.unique(pair, return_index=True)[1]] = True
    kept = order[first]
    codes = task_code[kept].astype(np.int64), worker_code[kept].astype(np.int64)
    return codes, [str(one) for one in tasks], [str(one) for one in workers], kept, len(pair) - len(kept)


def _check_whole(column: str, missing: np.ndarray) -> None:
    if missing.any():
        raise BadInput(f"answers: {missing.sum()} of {len(missing)} rows have no {column}; leave them out")
