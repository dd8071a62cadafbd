"""What is believed of items and annotators, by the answers so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tasks.crowd.annotate.items import Given, Items
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import Answer
from tasks.crowd.answers import Answers
from tasks.crowd.truth.collapsed import counts_of, crowd_matrix, label_shares, leave_one_out, matrices
from tasks.crowd.truth.inferred import UNKNOWN, hold
from tasks.crowd.truth.methods import METHODS

UNSEEN = 1.0  # items: while all answers are one label, the next item may be of another


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
    answers: Sequence[Answer | Given],
    eliminated: Collection[str],
    known: np.ndarray,
) -> Belief:
    """Infer what is right by the settings' method, then with each answer weighed by its worker's other answers.

    Args:
        answers: to these items, and to others.
        eliminated: annotators whose answers do not count.
        known: codes of labels that are known, int64 (items,), UNKNOWN elsewhere.
    """
    labels = len(settings.labels)
    given = [one for one in answers if one.worker not in eliminated]
    coded = coded_answers(settings, items, given)
    if not len(coded):
        even = np.full((len(items), labels), 1 / labels)
        return Belief(hold(even, known), {}, crowd_matrix(np.zeros((labels, labels))), {})
    answered = np.flatnonzero(coded.per_task)
    part = Answers(
        np.searchsorted(answered, coded.task),
        coded.worker,
        coded.label,
        [coded.tasks[task] for task in answered.tolist()],
        coded.workers,
        coded.labels,
    )
    # Other items stand behind those of the campaign: only what they tell of their annotators is wanted.
    here = np.count_nonzero(answered < len(items))
    golden = np.concatenate([known[answered[:here]], np.full(len(answered) - here, UNKNOWN)])
    found = METHODS[settings.method]().infer(part, golden)
    counts = counts_of(part, found.posterior)
    crowd = crowd_matrix(counts.sum(axis=0))
    posterior = np.tile(label_shares(found.posterior, UNSEEN), (len(items), 1))
    votes = settings.method == "mv"  # which weighs nobody
    weighed = found.posterior if votes else leave_one_out(part, found.posterior, unseen=UNSEEN)
    posterior[answered[:here]] = weighed[:here]
    own = dict(zip(coded.workers, matrices(counts, crowd), strict=True))
    quality = dict(zip(coded.workers, found.quality.tolist(), strict=True))
    return Belief(hold(posterior, known), own, crowd, quality, found.iterations)


def coded_answers(settings: AnnotateSettings, items: Items, answers: Sequence[Answer | Given]) -> Answers:
    """Answers as codes over all items, and other items behind them, by item and annotator's name: whatever the order in which they came."""
    tasks = [*items.ids, *sorted({one.task for one in answers}.difference(items.ids))]
    task_of = {id: code for code, id in enumerate(tasks)}
    workers = sorted({one.worker for one in answers})
    worker_of = {name: code for code, name in enumerate(workers)}
    label_of = {label: code for code, label in enumerate(settings.labels)}
    codes = np.array(
        [(task_of[one.task], worker_of[one.worker], label_of[one.label]) for one in answers], dtype=np.int64
    ).reshape(-1, 3)
    task, worker, label = codes[np.lexsort((codes[:, 1], codes[:, 0]))].T
    return Answers(task, worker, label, tasks, workers, settings.labels)
