"""Dawid and Skene (Applied Statistics, 1979): a confusion matrix per worker; with prior counts, as in LFC; and variational, as in IBCC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import (
    PLAIN,
    TOLERANCE,
    Inferred,
    TruthInference,
    hold,
    quality_of,
    settle,
    softmax,
    vote_shares,
)
from tasks.records import BadInput

_NEVER = 1e-10  # the probability of an answer that a worker has not given yet
_LARGEST = 200_000_000  # numbers in all confusion matrices; 1.6 GB


@dataclass(frozen=True)
class DawidSkene(TruthInference):
    """Confusion matrices and shares of labels, found by expectation maximisation.

    Args:
        diagonal, elsewhere: answers that every worker is taken to have given already to each label, right ones and each of the
            wrong ones: a Dirichlet prior of the rows of confusion matrices ("Learning from Crowds", JMLR 2010).
        variational: weigh answers by exp(E[log p]) instead of the mean, and shares of labels too: variational inference of Independent
            Bayesian Classifier Combination (Kim and Ghahramani, AISTATS 2012; Simpson et al., 2013). Of who has answered little
            less is made, so that few answers do not make it too sure. Needs prior counts.
        start: probability that a worker is right, by which the first step weighs votes; by default they count alike.
        tolerance: change of a probability below which it ends.
        most: steps, at most.
        plain: of these before the first leap ahead (`tasks.crowd.truth.inferred.settle`).
    """

    diagonal: float = 0.0
    elsewhere: float = 0.0
    variational: bool = False
    start: float | None = None
    tolerance: float = TOLERANCE
    most: int = 1000
    plain: int = PLAIN

    def infer(
        self, answers: Answers, golden: np.ndarray | None = None, prior: np.ndarray | None = None
    ) -> Inferred:
        """As `TruthInference.infer`.

        Args:
            prior: counts as known of these workers from before, float64 (workers, labels true, labels given), instead of
                `diagonal` and `elsewhere`.

        Raises:
            BadInput: more labels and workers than confusion matrices can be kept for.
        """
        labels = len(answers.labels)
        if (size := len(answers.workers) * labels**2) > _LARGEST:
            raise BadInput(
                f"{len(answers.workers):,} workers and {labels:,} labels make {size:,} numbers of confusion matrices; "
                "take a method without them: zc or mace"
            )
        counts = self._counts(labels)[None] if prior is None else prior
        by_task, by_answer = answers.by_task, answers.by_task.T.tocsr()
        even = np.full(len(answers.tasks), 1 / len(answers.tasks))

        def step(posterior: np.ndarray) -> np.ndarray:
            seen = _seen(by_answer @ posterior, counts)
            if self.variational:
                share, given = _mean_log(np.ones(len(posterior)) @ posterior + 1), _mean_log(seen)
            else:
                share = np.log(np.maximum(even @ posterior, _NEVER))
                given = np.log(_confusion(seen))
            logits = by_task @ given.transpose(0, 2, 1).reshape(-1, labels)
            return hold(softmax(logits + share), golden)

        first = hold(self._first(answers), golden)
        posterior, steps = settle(first, step, self.tolerance, self.most, self.plain)
        confusion = _confusion(_seen(by_answer @ posterior, counts))
        return Inferred(posterior, quality_of(answers, posterior), steps, confusion)

    def _first(self, answers: Answers) -> np.ndarray:
        if self.start is None:
            return vote_shares(answers)
        wrong = (1 - self.start) / max(1, len(answers.labels) - 1)
        return softmax(answers.votes() * np.log(self.start / wrong))

    def _counts(self, labels: int) -> np.ndarray:
        return np.full((labels, labels), self.elsewhere) + (self.diagonal - self.elsewhere) * np.eye(labels)


def _seen(expected: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Expected answers (workers x given, true) and prior counts together, (workers, true, given)."""
    labels = expected.shape[1]
    return np.asarray(expected.reshape(-1, labels, labels).transpose(0, 2, 1) + counts)


def _mean_log(counts: np.ndarray) -> np.ndarray:
    """E[log p] of Dirichlet distributions over the last axis."""
    return np.asarray(digamma(counts) - digamma(counts.sum(axis=-1, keepdims=True)))


def _confusion(seen: np.ndarray) -> np.ndarray:
    """Rows of probabilities, (workers, true, given); even where nothing was seen."""
    totals = seen.sum(axis=2, keepdims=True)
    even = np.full_like(seen, 1 / seen.shape[2])
    return np.asarray(np.maximum(np.divide(seen, totals, out=even, where=totals > 0), _NEVER))


def confusion_of(answers: Answers, posterior: np.ndarray, count: float = 0.0) -> np.ndarray:
    """Confusion matrices of workers under a posterior of any method, float64 (workers, labels true, labels given).

    Args:
        count: that every answer is taken to have been given already.
    """
    labels = len(answers.labels)
    return _confusion(_seen(answers.by_task.T @ posterior, np.full((1, labels, labels), count)))
