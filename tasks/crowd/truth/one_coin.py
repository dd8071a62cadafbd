"""ZenCrowd (Demartini et al., WWW 2012): each worker is right with a probability of his own, and else errs evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import (
    TOLERANCE,
    Inferred,
    TruthInference,
    hold,
    quality_of,
    settle,
    softmax,
    vote_shares,
)

_NEVER = 1e-9  # a probability that is never quite 0 or 1


@dataclass(frozen=True)
class ZenCrowd(TruthInference):
    """One reliability per worker, found by expectation maximisation, with all labels equally likely beforehand.

    Args:
        tolerance: change of a probability below which it ends.
        most: steps, at most.
    """

    tolerance: float = TOLERANCE
    most: int = 1000

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        others = max(1, len(answers.labels) - 1)

        def step(posterior: np.ndarray) -> np.ndarray:
            right = np.clip(quality_of(answers, posterior), _NEVER, 1 - _NEVER)
            weight = np.log(right) - np.log((1 - right) / others)
            return hold(softmax(answers.votes(weight[answers.worker])), golden)

        posterior, steps = settle(hold(vote_shares(answers), golden), step, self.tolerance, self.most)
        return Inferred(posterior, quality_of(answers, posterior), steps)
