"""Who is asked what next: the tasks where one more answer of a worker is worth most, whose answers tell most, and when a task has enough."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.special import entr

Strategy = Literal["qasca", "entropy", "fewest", "random"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)

_AT_ONCE = 4_000_000  # numbers of one block of expected posteriors


def choose(
    strategy: str,
    posterior: np.ndarray,
    answered: np.ndarray,
    open_tasks: np.ndarray,
    confusion: np.ndarray,
    count: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """The tasks to ask a worker next, the best first; ties fall by chance.

    Args:
        strategy: qasca: the largest expected gain in accuracy (QASCA, SIGMOD 2015, section 4.1); entropy: the least certain;
            fewest: those with the fewest answers; random.
        posterior: of each label of each task, float64 (tasks, labels).
        answered: answers that each task has, int64 (tasks,).
        open_tasks: tasks that are not closed and that this worker has not answered, bool (tasks,).
        confusion: of this worker, float64 (labels true, labels given); of one who is not known yet that of the mean worker.
        count: tasks, at most.

    Returns:
        Codes of tasks, int64 (up to count,).
    """
    places = np.flatnonzero(open_tasks)
    worth = _worth(strategy, posterior[places], answered[places], confusion)
    # Differences below what sums of floats are exact to are none, or they would decide what chance should.
    order = np.lexsort((generator.random(len(places)), -np.round(worth, 12)))
    return np.asarray(places[order[:count]])


def _worth(strategy: str, posterior: np.ndarray, answered: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    if strategy == "qasca":
        return expected_gain(posterior, confusion)
    if strategy == "entropy":
        return np.asarray(entr(posterior).sum(axis=1))
    return -answered.astype(float) if strategy == "fewest" else np.zeros(len(answered))


def expected_gain(posterior: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """How much likelier the likeliest label is expected to be after one more answer, float64 (tasks,), at least 0.

    The mean of max_j P(j | answers, v) over what the worker would answer, v, less max_j P(j | answers).

    Args:
        posterior: float64 (tasks, labels).
        confusion: float64 (labels true, labels given).
    """
    labels = posterior.shape[1]
    rows = max(1, _AT_ONCE // labels**2)
    after = [
        (posterior[start : start + rows, :, None] * confusion).max(axis=1).sum(axis=1)
        for start in range(0, len(posterior), rows)
    ]
    gain = np.concatenate(after) - posterior.max(axis=1) if after else np.zeros(0)
    return np.asarray(np.maximum(gain, 0))


def information(posterior: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """How much one more answer is expected to lower the entropy of a label, nats, float64 (tasks,): their mutual information (Lindley, 1956).

    Args:
        posterior: float64 (tasks, labels).
        confusion: float64 (labels true, labels given).
    """
    said = entr(posterior @ confusion).sum(axis=1)
    return np.asarray(np.maximum(said - posterior @ entr(confusion).sum(axis=1), 0))


def closed(posterior: np.ndarray, answered: np.ndarray, tau: float, most: int, least: int = 1) -> np.ndarray:
    """Tasks that need no more answers, bool (tasks,): their label is as likely as tau, or they have all the answers they may have.

    Args:
        posterior: float64 (tasks, labels).
        answered: answers of each task, int64 (tasks,).
        tau: probability of a label that is enough.
        most, least: answers of a task; one with fewer than `least` stays open however sure it is.
    """
    sure = (posterior.max(axis=1) >= tau) & (answered >= least)
    return np.asarray(sure | (answered >= most))


def mean_confusion(confusion: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The confusion matrix of the mean worker, float64 (labels, labels), by what each has answered.

    Args:
        confusion: float64 (workers, labels, labels).
        answers: of each worker, int64 (workers,).
    """
    weight = answers / max(1, answers.sum())
    found = np.einsum("w,wjk->jk", weight, confusion)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
