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

    Clusters differ in size, and one with ten examples that is drawn as often as one with a thousand gives each of its
    examples a hundred times the weight that it has in the data. With `shares` all arms are alike until rewards tell them apart, but in
    proportion: both the weights and the exploration begin at the shares. A step of a weight's logarithm is at most 1, which it is
    anyway where the shares are even, and which the proof of the bound asks for.

    Regret is counted against the single best arm, and in the end that is drawn alone. Where a mixture of arms is wanted, the logarithms
    are kept within -tilt..tilt of their mean over the shares when they are updated, so that a mixture is tilted towards the better
    arms and no further.

    Args:
        arms: K.
        gamma: share of the probability that is spread by the shares, above 0 and at most 1.
        shares: of the arms, (K,), above 0; None for even ones.
        tilt: above 0.
    """

    def __init__(
        self, arms: int, gamma: float = 0.1, shares: np.ndarray | None = None, tilt: float = math.inf
    ) -> None:
        self.gamma, self.tilt = gamma, tilt
        self.shares = np.ones(arms) if shares is None else np.asarray(shares, dtype=np.float64)
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
        shares = np.where(live, self.shares, 0.0)
        weights = shares * np.exp(np.where(live, self.weights - self.weights[live].max(), -math.inf))
        found: np.ndarray = (1 - self.gamma) * weights / weights.sum() + self.gamma * shares / shares.sum()
        return found

    def draw(self, random: np.random.Generator, is_open: np.ndarray | None = None) -> int:
        """An arm by these probabilities."""
        return int(random.choice(len(self.weights), p=self.probabilities(is_open)))

    def scaled(self, raw: np.ndarray) -> np.ndarray:
        """Raw rewards of a round, (r,), in -1..1: min-max over all raw rewards so far, these among them; 0 while all are equal."""
        self.low, self.high = min(self.low, float(raw.min())), max(self.high, float(raw.max()))
        if self.high == self.low:
            return np.zeros(len(raw))
        return 2 * (raw - self.low) / (self.high - self.low) - 1

    def update(self, arm: int, reward: float, probability: float, arms: int | None = None) -> None:
        """Tell what a draw gave.

        Args:
            reward: in -1..1, larger is better.
            probability: with which the arm was drawn.
            arms: open ones at that draw; all by default.
        """
        step = self.gamma / (arms or len(self.weights)) * reward / probability
        moved = self.weights[arm] + min(1.0, max(-1.0, step))
        middle = float(np.average(self.weights, weights=self.shares))
        self.weights[arm] = min(middle + self.tilt, max(middle - self.tilt, moved))

    def state(self) -> dict[str, Any]:
        """All that later draws depend on, as JSON."""
        bounds = [self.low, self.high] if self.high >= self.low else None
        return {"weights": self.weights.tolist(), "bounds": bounds}

    def restore(self, state: dict[str, Any]) -> None:
        self.weights = np.array(state["weights"], dtype=np.float64)
        self.low, self.high = state["bounds"] or (math.inf, -math.inf)
