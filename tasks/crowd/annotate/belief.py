"""What is believed of items and annotators, by the answers so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tasks.crowd.annotate.items import Items
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import Answer
from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import hold, normalised
from tasks.crowd.truth.methods import METHODS

NEWCOMER = 0.7  # accuracy of somebody of whom nothing is known, in a crowd of whom nothing is known
_CROWD, _OWN = (
    10.0,
    4.0,
)  # answers that this is worth, and that the crowd's matrix is worth beside a worker's own


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
    """Infer what is right.

    Args:
        eliminated: annotators whose answers do not count.
        known: codes of labels that are known, int64 (items,), UNKNOWN elsewhere.
    """
    labels = len(settings.labels)
    coded = coded_answers(settings, items, [one for one in answers if one.worker not in eliminated])
    posterior = np.full((len(items), labels), 1 / labels)
    seen = np.full((len(coded.workers), labels, labels), 0.0)
    quality, iterations = np.zeros(len(coded.workers)), 0
    if len(coded):
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
        posterior[:] = normalised(found.posterior.sum(axis=0, keepdims=True))
        posterior[answered] = found.posterior
        given = np.asarray(part.by_task.T @ found.posterior)
        seen = given.reshape(-1, labels, labels).transpose(0, 2, 1)  # workers, true, given
        quality, iterations = found.quality, found.iterations
    newcomer = np.full((labels, labels), (1 - NEWCOMER) / (labels - 1))
    np.fill_diagonal(newcomer, NEWCOMER)
    crowd = normalised(seen.sum(axis=0) + _CROWD * newcomer)
    own = {name: normalised(matrix + _OWN * crowd) for name, matrix in zip(coded.workers, seen, strict=True)}
    shares = dict(zip(coded.workers, quality.tolist(), strict=True))
    return Belief(hold(posterior, known), own, crowd, shares, iterations)


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
