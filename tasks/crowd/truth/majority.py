"""Majority vote (MV)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import Inferred, TruthInference, hold, quality_of, vote_shares


@dataclass(frozen=True)
class MajorityVote(TruthInference):
    """Every answer counts alike. Ties fall to the first in the order of labels."""

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        posterior = hold(vote_shares(answers), golden)
        return Inferred(posterior, quality_of(answers, posterior))
