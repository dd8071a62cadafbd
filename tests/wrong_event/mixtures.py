"""Simulated mixtures of two Beta distributions, and the most likely one found without EM."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

from tasks.wrong_event.beta_mixture import BetaMixture

Shape = tuple[float, float]

# alpha and beta of the clean and the noisy component, share of clean rows
SIMULATED = [
    ((1.5, 8.0), (8.0, 2.0), 0.7),
    ((2.0, 12.0), (6.0, 3.0), 0.6),
    ((1.2, 5.0), (5.0, 2.0), 0.4),
    ((3.0, 9.0), (9.0, 3.0), 0.8),
]


def drawn(clean: Shape, noisy: Shape, share: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """x of rows (n,), and which are clean."""
    random = np.random.default_rng(3)
    is_clean = random.random(count) < share
    x = np.where(is_clean, random.beta(*clean, count), random.beta(*noisy, count))
    return np.clip(x, 1e-6, 1 - 1e-6), is_clean


def most_likely(x: np.ndarray, start: BetaMixture) -> BetaMixture:
    """The mixture of the greatest likelihood near a start, found without EM."""

    def mixture(values: np.ndarray) -> BetaMixture:
        shapes, share = np.exp(values[:4]), 1 / (1 + np.exp(-values[4]))
        return BetaMixture(shapes[:2], shapes[2:], np.array([share, 1 - share]))

    def loss(values: np.ndarray) -> float:
        one = mixture(values)
        densities = [stats.beta.pdf(x, a, b) for a, b in zip(one.alpha, one.beta, strict=True)]
        return float(-np.log(one.weights @ np.array(densities)).mean())

    at = np.log(np.concatenate([start.alpha, start.beta, [start.weights[0] / start.weights[1]]]))
    found = optimize.minimize(loss, at, method="L-BFGS-B")
    assert found.success
    return mixture(found.x)
