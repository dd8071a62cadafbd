"""What is believed of items and annotators, by the answers so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tasks.crowd.annotate.items import Items
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import Answer
from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import hold, normalised, softmax
from tasks.crowd.truth.methods import METHODS

NEWCOMER = 0.7  # accuracy of somebody of whom nothing is known, in a crowd of whom nothing is known
_NEVER = 1e-9
_CROWD = 10.0  # answers to each label that this is worth beside those of the crowd
_OWN = 4.0  # and that the crowd's matrix is worth beside those of a worker


class Belief:
    """Posteriors of items, and confusion matrices of annotators.

    Args:
        posterior: float64 (items, labels).
        confusions: by annotator, float64 (labels true, labels given).
        crowd: of somebody new.
        quality: expected share of right answers, by annotator.
        iterations: of the inference.
    """

    def __init__(
        self,
        posterior: np.ndarray,
        confusions: dict[str, np.ndarray],
        crowd: np.ndarray,
        quality: dict[str, float],
        iterations: int = 0,
    ) -> None:
        self.posterior, self.crowd = posterior, crowd
        self.quality, self.iterations = quality, iterations
        self._confusions = confusions

    def confusion(self, worker: str) -> np.ndarray:
        """How a worker answers, float64 (labels true, labels given), rows sum to 1."""
        return self._confusions.get(worker, self.crowd)

    def see(self, task: int, worker: str, label: int) -> None:
        """One more answer: Bayes' rule."""
        seen = self.posterior[task] * self.confusion(worker)[:, label]
        self.posterior[task] = seen / seen.sum()


def believe(
    settings: AnnotateSettings,
    items: Items,
    answers: Sequence[Answer],
    eliminated: Collection[str],
    known: np.ndarray,
) -> Belief:
    """Infer what is right by the settings' method, then with each answer weighed by its worker's other answers.

    Args:
        eliminated: annotators whose answers do not count.
        known: codes of labels that are known, int64 (items,), UNKNOWN elsewhere.
    """
    labels = len(settings.labels)
    coded = coded_answers(settings, items, [one for one in answers if one.worker not in eliminated])
    if not len(coded):
        even = np.full((len(items), labels), 1 / labels)
        return Belief(hold(even, known), {}, crowd_matrix(np.zeros((labels, labels))), {})
    answered = np.flatnonzero(coded.per_task)
    part = Answers(
        np.searchsorted(answered, coded.task),
        coded.worker,
        coded.label,
        [items.ids[task] for task in answered],
        coded.workers,
        coded.labels,
    )
    found = METHODS[settings.method]().infer(part, known[answered])
    counts = counts_of(part, found.posterior)
    crowd = crowd_matrix(counts.sum(axis=0))
    shares = found.posterior.mean(axis=0)
    posterior = np.tile(shares, (len(items), 1))
    posterior[answered] = (
        found.posterior if settings.method == "mv" else leave_one_out(part, found.posterior, crowd)
    )
    own = {
        name: normalised(matrix + _OWN * crowd) for name, matrix in zip(coded.workers, counts, strict=True)
    }
    quality = dict(zip(coded.workers, found.quality.tolist(), strict=True))
    return Belief(hold(posterior, known), own, crowd, quality, found.iterations)


def crowd_matrix(counts: np.ndarray) -> np.ndarray:
    """Confusion matrix of somebody new, from the answers of all, float64 (labels true, labels given)."""
    labels = len(counts)
    newcomer = np.full((labels, labels), (1 - NEWCOMER) / (labels - 1))
    np.fill_diagonal(newcomer, NEWCOMER)
    return normalised(counts + _CROWD * newcomer)


def counts_of(answers: Answers, posterior: np.ndarray) -> np.ndarray:
    """Answers of each worker by what is right, as a posterior expects it, float64 (workers, labels true, labels given)."""
    labels = posterior.shape[1]
    return np.asarray(answers.by_task.T @ posterior).reshape(-1, labels, labels).transpose(0, 2, 1)


def leave_one_out(answers: Answers, posterior: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Posteriors in which what is known of a worker is from the worker's other items alone, float64 (tasks, labels).

    Expectation maximisation lets an answer vouch for its own worker. With two answers to an item, half of all labels are "sure"
    then, and up to two fifths of those wrong (tests/bench/annotate.md): no probability to stop by.

    Args:
        posterior: of a method, float64 (tasks, labels), of which each worker's expected answers are counted.
        crowd: confusion matrix that a worker is taken to have before any answer, worth _OWN answers to each label.
    """
    counts = counts_of(answers, posterior)
    mine = posterior[answers.task]  # answers, labels true
    right = counts[answers.worker, :, answers.label] - mine + _OWN * crowd[:, answers.label].T
    given = counts[answers.worker].sum(axis=2) - mine + _OWN
    logits = np.tile(np.log(np.maximum(posterior.mean(axis=0), _NEVER)), (len(posterior), 1))
    np.add.at(logits, answers.task, np.log(np.maximum(right, _NEVER) / given))
    return softmax(logits)


def coded_answers(settings: AnnotateSettings, items: Items, answers: Sequence[Answer]) -> Answers:
    """Answers as codes over all items, by item and annotator's name: whatever the order in which they came."""
    task_of = {id: code for code, id in enumerate(items.ids)}
    workers = sorted({one.worker for one in answers})
    worker_of = {name: code for code, name in enumerate(workers)}
    label_of = {label: code for code, label in enumerate(settings.labels)}
    codes = np.array(
        [(task_of[one.task], worker_of[one.worker], label_of[one.label]) for one in answers], dtype=np.int64
    ).reshape(-1, 3)
    task, worker, label = codes[np.lexsort((codes[:, 1], codes[:, 0]))].T
    return Answers(task, worker, label, items.ids, workers, settings.labels)
