"""Votes weighted by how much a worker got wrong: PM (as CRH, SIGMOD 2014) and CATD (VLDB 2015)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import (
    Inferred,
    TruthInference,
    hold,
    normalised,
    quality_of,
    vote_shares,
)

_TIE = 1e-9


@dataclass(frozen=True)
class _Weighted(TruthInference):
    """Weigh workers by their distance from the truth so far, take the label with the most weight, repeat.

    Args:
        most: rounds, at most; it ends before when no label changes.
    """

    most: int = 100

    @abstractmethod
    def weights(self, wrong: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Weight of each worker by his wrong and all his answers, float64 (workers,)."""

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        shares = hold(vote_shares(answers), golden)
        truth = shares.argmax(axis=1)
        taken, settled = 0, False
        while taken < self.most and not settled:
            missed = answers.label != truth[answers.task]
            wrong = np.bincount(answers.worker, missed, len(answers.workers))
            weight = self.weights(wrong, answers.per_worker)
            shares = hold(normalised(answers.votes(weight[answers.worker])), golden)
            after = (shares > shares.max(axis=1, keepdims=True) - _TIE).argmax(axis=1)
            taken, settled, truth = taken + 1, np.array_equal(after, truth), after
        return Inferred(shares, quality_of(answers, np.eye(len(answers.labels))[truth]), taken, weight=weight)


@dataclass(frozen=True)
class Pm(_Weighted):
    """Weight -log(wrong answers / most wrong answers of anybody).

    Args:
        floor: wrong answers that everybody is taken to have given, so that one without any does not outvote all others together.
    """

    floor: float = 0.5

    def weights(self, wrong: np.ndarray, given: np.ndarray) -> np.ndarray:
        distance = np.maximum(wrong, self.floor)
        return np.asarray(-np.log(distance / distance.max()) + 1e-7)


@dataclass(frozen=True)
class Catd(_Weighted):
    """Weight by the lower confidence bound of a worker's precision: few answers, little weight.

    Args:
        alpha: of the two-sided interval.
        floor: wrong answers of one who gave none.
    """

    alpha: float = 0.05
    floor: float = 0.5

    def weights(self, wrong: np.ndarray, given: np.ndarray) -> np.ndarray:
        return np.asarray(chi2.ppf(self.alpha / 2, np.maximum(given, 1)) / np.maximum(wrong, self.floor))
