"""Candidate pairs, and plans: coroutines that say which pairs to ask next, given what the crowd said so far."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")

Plan = Generator[np.ndarray, np.ndarray, Result]
"""Yields rows of pairs to ask in one round, int64, none of them twice. Is sent the probability that a pair is a match, of every
pair as all answers so far say, float64 (m,), NaN where none was asked: later answers tell of workers, so they may change
what earlier ones mean."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of records that may be the same, each once.

    Args:
        left, right: records, int64 (m,), left != right.
        score: how likely the machine finds a match, 0 to 1, float64 (m,).
        records: how many records there are, n.
    """

    left: np.ndarray
    right: np.ndarray
    score: np.ndarray
    records: int

    def __len__(self) -> int:
        return len(self.left)

    @cached_property
    def order(self) -> np.ndarray:
        """Rows in falling score, of equals the lower row first."""
        return np.argsort(-self.score, kind="stable")


def follow(plan: Plan[Result], ask: Callable[[np.ndarray], np.ndarray]) -> Result:
    """Carry out a plan.

    Args:
        ask: rows of pairs -> probabilities of all pairs, as a plan is sent them.
    """
    try:
        rows = next(plan)
        while True:
            rows = plan.send(ask(rows))
    except StopIteration as end:
        result: Result = end.value
        return result


def numbered(groups: np.ndarray) -> np.ndarray:
    """Groups numbered by their first member, int64 (n,)."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return np.asarray(place[inverse])
