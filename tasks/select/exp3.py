"""EXP3: a bandit whose arms' rewards may change in any way while it plays, as those of training do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def best_gamma(arms: int, draws: int) -> float:
    """The rate of exploration with the least bound on the regret for so many draws (Auer et al., 2002, corollary 3.2)."""
    if arms < 2:
        return 1.0
    return min(1.0, math.sqrt(arms * math.log(arms) / ((math.e - 1) * draws)))


class Exp3:
    """Exponential weights with uniform exploration (Auer et al., 2002, "The nonstochastic multiarmed bandit problem", section 3).

    p_i = (1 - gamma) w_i / sum w + gamma / K; after a draw of arm i with reward R, w_i <- w_i exp((gamma / K) R / p_i): the
    reward over its probability is an unbiased estimate, however seldom an arm is drawn. LEAD (arXiv 2505.07437) plays it over
    clusters, with rewards in -1..1.

    Weights are kept as logarithms, which cannot overflow. An arm with nothing left to draw is closed: K and the sum are
    those of the open ones.

    Args:
        arms: K.
        gamma: share of the probability that is spread evenly, above 0 and at most 1.
    """

    def __init__(self, arms: int, gamma: float = 0.1) -> None:
        self.gamma = gamma
        self.weights = np.zeros(arms)  # logarithms
        self.low, self.high = math.inf, -math.inf  # of the raw rewards so far

    def probabilities(self, is_open: np.ndarray | None = None) -> np.ndarray:
        """Of every arm, (K,); 0 for those that are closed.

        Raises:
            ValueError: no arm is open.
        """
        live = np.ones(len(self.weights), dtype=bool) if is_open is None else is_open
        if not live.any():
            raise ValueError("no arm is open")
        weights = np.exp(np.where(live, self.weights - self.weights[live].max(), -math.inf))
        found: np.ndarray = np.where(
            live, (1 - self.gamma) * weights / weights.sum() + self.gamma / live.sum(), 0.0
        )
        return found

    def draw(self, random: np.random.Generator, is_open: np.ndarray | None = None) -> int:
        """An arm by these probabilities."""
        return int(random.choice(len(self.weights), p=self.probabilities(is_open)))

    def scaled(self, raw: float) -> float:
        """A raw reward in -1..1, min-max over all raw rewards so far, this one among them; 0 while they are all equal."""
        self.low, self.high = min(self.low, raw), max(self.high, raw)
        return 2 * (raw - self.low) / (self.high - self.low) - 1 if self.high > self.low else 0.0

    def update(self, arm: int, reward: float, probability: float, arms: int | None = None) -> None:
        """Tell what a draw gave.

        Args:
            reward: in -1..1, larger is better.
            probability: with which the arm was drawn.
            arms: open ones at that draw; all by default.
        """
        self.weights[arm] += self.gamma / (arms or len(self.weights)) * reward / probability

    def state(self) -> dict[str, Any]:
        """All that later draws depend on, as JSON."""
        bounds = [self.low, self.high] if self.high >= self.low else None
        return {"weights": self.weights.tolist(), "bounds": bounds}

    def restore(self, state: dict[str, Any]) -> None:
        self.weights = np.array(state["weights"], dtype=np.float64)
        self.low, self.high = state["bounds"] or (math.inf, -math.inf)
