"""How far workers agree, who answers without looking at the task, and whom to leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, triu
from scipy.stats import beta

from tasks.crowd.answers import Answers, Numbers
from tasks.crowd.truth.inferred import UNKNOWN


def krippendorff_alpha(answers: Answers) -> float:
    """Krippendorff's alpha for nominal labels: 1 - observed / expected disagreement (Content Analysis, 2004, section 11.3).

    Tasks with one answer say nothing. nan where no task has two, 1 where all answers are one label.
    """
    votes = answers.votes()[answers.per_task > 1]
    if not len(votes):
        return float("nan")
    size = votes.sum(axis=1)
    total = size.sum()
    agree = ((votes * (votes - 1)).sum(axis=1) / (size - 1)).sum()
    observed = 1 - agree / total
    by_label = votes.sum(axis=0)
    expected = 1 - (by_label * (by_label - 1)).sum() / (total * (total - 1))
    return 1.0 if expected == 0 else float(1 - observed / expected)


def krippendorff_alpha_of_numbers(answers: Numbers) -> float:
    """The same for numbers, whose disagreement is the square of their difference."""
    used = answers.per_task[answers.task] > 1
    if not used.any():
        return float("nan")
    task, value = answers.task[used], answers.value[used]
    size = np.bincount(task, minlength=len(answers.tasks))
    mean = np.bincount(task, value, len(answers.tasks)) / np.maximum(size, 1)
    square = np.bincount(task, (value - mean[task]) ** 2, len(answers.tasks))
    observed = (2 * size * square / np.maximum(size - 1, 1)).sum() / len(value)
    expected = 2 * len(value) * ((value - value.mean()) ** 2).sum() / (len(value) * (len(value) - 1))
    return 1.0 if expected == 0 else float(1 - observed / expected)


def agreement_with_others(answers: Answers) -> np.ndarray:
    """Share of the other answers to a worker's tasks that are his, float64 (workers,); nan where nobody else answered them."""
    votes = answers.votes().ravel()[answers.cell] - 1
    others = answers.per_task[answers.task] - 1
    count = np.bincount(answers.worker, others, len(answers.workers))
    same = np.bincount(answers.worker, votes, len(answers.workers))
    return np.asarray(np.divide(same, count, out=np.full(len(count), np.nan), where=count > 0))


@dataclass(frozen=True, slots=True)
class PairsOfWorkers:
    """Pairs of workers who answered the same tasks.

    Args:
        first, second: codes of the workers, int64 (pairs,).
        common: tasks that both answered, int64 (pairs,).
        agreed: of these, those that both answered alike, int64 (pairs,).
    """

    first: np.ndarray
    second: np.ndarray
    common: np.ndarray
    agreed: np.ndarray


def pairs_of_workers(answers: Answers, least: int = 1) -> PairsOfWorkers:
    """Every pair of workers with `least` common tasks or more, those with the most first."""
    first, second, common = _in_common(answers, least)
    said = csr_array(
        (np.ones(len(answers), dtype=np.int64), (answers.worker, answers.cell)),
        shape=(len(answers.workers), len(answers.tasks) * len(answers.labels)),
    )
    return PairsOfWorkers(first, second, common, _cells(said @ said.T, first, second).astype(np.int64))


@dataclass(frozen=True, slots=True)
class PairsOnNumbers:
    """Pairs of workers who answered the same tasks with numbers.

    Args:
        first, second, common: as of `PairsOfWorkers`.
        bias: mean of the first's answer less the second's, float64 (pairs,).
        apart: root mean square of that difference, float64 (pairs,).
    """

    first: np.ndarray
    second: np.ndarray
    common: np.ndarray
    bias: np.ndarray
    apart: np.ndarray


def pairs_on_numbers(answers: Numbers, least: int = 1) -> PairsOnNumbers:
    """Every pair of workers with `least` common tasks or more, those with the most first."""
    first, second, common = _in_common(answers, least)
    # About their mean: squares of large numbers that differ little would cancel.
    value = answers.value - answers.value.mean()
    did, said, squares = (_by_worker(answers, own) for own in (np.ones(len(value)), value, value**2))
    sums, sums_of_squares = said @ did.T, squares @ did.T  # over what both answered, of the row's worker
    bias = _cells(sums, first, second) - _cells(sums, second, first)
    square = _cells(sums_of_squares, first, second) + _cells(sums_of_squares, second, first)
    square -= 2 * _cells(said @ said.T, first, second)
    return PairsOnNumbers(first, second, common, bias / common, np.sqrt(np.maximum(square, 0) / common))


def _in_common(answers: Answers | Numbers, least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of workers and how many tasks both answered, each int64 (pairs,); those with the most first."""
    did = _by_worker(answers, np.ones(len(answers.task), dtype=np.int64))
    both = triu(did @ did.T, k=1).tocoo()
    kept = both.data >= least
    first, second, common = both.row[kept], both.col[kept], both.data[kept]
    order = np.lexsort((second, first, -common))
    return first[order].astype(np.int64), second[order].astype(np.int64), common[order]


def _by_worker(answers: Answers | Numbers, values: np.ndarray) -> csr_array:
    """A value of every answer, (workers, tasks)."""
    shape = len(answers.workers), len(answers.tasks)
    return csr_array((values, (answers.worker, answers.task)), shape=shape)


def _cells(matrix: csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Some cells of a sparse matrix, (n,)."""
    return np.asarray(matrix[rows, columns]).ravel() if len(rows) else np.zeros(0)


def spammer_score(confusion: np.ndarray) -> np.ndarray:
    """How much a worker's answer depends on the task at all, float64 (workers,): 0 for one who answers without looking, 1 for one who
    tells every label from every other (Raykar and Yu, JMLR 2012, equation 9; for two labels the square of Youden's index).

    Args:
        confusion: float64 (workers, labels true, labels given).
    """
    labels = confusion.shape[1]
    if labels < 2:
        return np.ones(len(confusion))
    # The squared differences of all pairs of rows sum to labels x (squares about the mean row).
    about = confusion - confusion.mean(axis=1, keepdims=True)
    return np.asarray(labels * (about**2).sum(axis=(1, 2)) / (labels * (labels - 1)))


def upper_bound(right: np.ndarray, given: np.ndarray, confidence: float = 0.95) -> np.ndarray:
    """Accuracy that a worker has at the most, float64 (workers,): the one-sided bound of Clopper and Pearson.

    Args:
        right: answers that are right, or are expected to be, of each worker.
        given: answers of each worker.
        confidence: that the accuracy is not above it.
    """
    bound = beta.ppf(confidence, right + 1, np.maximum(given - right, 1e-12))
    return np.asarray(np.where(right >= given, 1.0, bound))


def golden_record(answers: Answers, golden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right and all answers of each worker to golden tasks, float64 and int64 (workers,).

    Args:
        golden: right label of each task, int64 (tasks,), UNKNOWN where it is not known.
    """
    asked = golden[answers.task] != UNKNOWN
    right = asked & (golden[answers.task] == answers.label)
    workers = len(answers.workers)
    return np.bincount(answers.worker, right, workers), np.bincount(answers.worker, asked, workers).astype(
        int
    )
