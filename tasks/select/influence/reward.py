"""Influence as the reward of an arm (`tasks.select.transport.Reward`)."""

from __future__ import annotations

import numpy as np


class InfluenceReward:
    """Influence of an arm's pairs on the reference for each token of their answers, as it was found when they were read.

    A pair is a row (influence, tokens); see `tasks.loop.influence`.
    """

    def __init__(self) -> None:
        self._sums: dict[int, np.ndarray] = {}

    def add(self, arm: int, pairs: np.ndarray) -> None:
        self._sums[arm] = self._sums.get(arm, np.zeros(2)) + np.asarray(pairs, dtype=float).sum(axis=0)

    def reward(self, arm: int) -> float:
        influence, tokens = self._sums.get(arm, np.zeros(2))
        return float(influence / tokens) if tokens else 0.0

    def state(self, arm: int) -> list[float]:
        """Sum of the pairs' influence, and of their tokens."""
        sums: list[float] = self._sums.get(arm, np.zeros(2)).tolist()
        return sums

    def restore(self, arm: int, state: list[float], pairs: np.ndarray) -> None:
        self._sums[arm] = np.array(state)
