"""Pairs that the machine score decides, because few of its decisions there are wrong.

Which scores those are is either given, or found by asking about a random sample: `tasks.routing.choose_band` bounds the share of all pairs
that are decided so and wrongly.
"""

from __future__ import annotations

import numpy as np

from tasks.crowd.cost.pairs import Candidates, Plan
from tasks.routing import Band, choose_band


def sampled_band(
    pairs: Candidates, count: int, error: float, confidence: float, random: np.random.Generator
) -> Plan[Band]:
    """The scores between which to ask, by the crowd's opinion of a random sample of all pairs.

    With the given confidence at most `error` of all pairs are decided by the machine and otherwise than the crowd would: the bound is to
    the crowd's merged answers, and no closer to the truth than they are.

    Args:
        count: pairs to ask; with fewer than `Band.wanted` no bound can be given, and everything is asked.
        error: share of all pairs, above 0 and below 1.
    """
    rows = np.sort(random.permutation(len(pairs))[:count])
    match = yield rows
    return choose_band(pairs.score[rows], match[rows] > 0.5, error=error, confidence=confidence)
