"""Which of the extracted pairs to keep: those that together move to the reference most cheaply.

Partial optimal transport (Figalli, 2010; Chapel et al., NeurIPS 2020): every reference example takes its share of mass from
pairs of which none may give more than 1 / count, and what is not asked for stays where it is. So a pair is kept for an
example that it is near to, and not because it is near to the mean of all. The linear programme's dual variables say what
any other pair would have saved, which is what a strategy learns from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.select.transport import MAX_REFERENCE, sample_rows, solve_partial_transport

_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Kept:
    """A choice among n pairs.

    Args:
        mask: bool (n,), the pairs kept.
        gain: (n,), at least 0: how far the transport cost of the kept pairs would be from what it is without this one, to
            first order; 0 for a pair that is too far away to be kept.
    """

    mask: np.ndarray
    gain: np.ndarray


def keep_nearest(pairs: np.ndarray, reference: np.ndarray, count: int, *, seed: int = 0) -> Kept:
    """The `count` pairs whose transport to the reference is cheapest, cost 1 - cos.

    Solved exactly, against at most 1,024 reference examples; where the solution shares a place between pairs, those that
    give the most have it. Pairs enter the programme when its prices say that they would
    lower the cost (column generation), so that of many pairs only the nearer ones are ever in it.

    Args:
        pairs: unit rows (n, d).
        reference: unit rows (m, d), m at least 1.
        count: pairs to keep, at least 1; all are kept where there are no more, and their gain is 0.
        seed: draws the examples of a larger reference.
    """
    n = len(pairs)
    if n <= count:
        return Kept(np.ones(n, dtype=bool), np.zeros(n))
    reference = sample_rows(reference, MAX_REFERENCE, seed)
    nearest = np.concatenate([cost.min(axis=1) for cost in _costs(pairs, reference)])
    active = np.zeros(n, dtype=bool)
    active[np.argsort(nearest, kind="stable")[: 3 * count]] = True
    while True:
        rows = np.flatnonzero(active)
        mass, prices, idle = solve_partial_transport(1.0 - pairs[rows] @ reference.T, count)
        saved = -idle - np.concatenate([(cost - prices).min(axis=1) for cost in _costs(pairs, reference)])
        missing = (saved > 1e-7) & ~active
        if not missing.any():
            break
        active |= missing
    gain = np.maximum(0.0, saved) / count
    given = np.zeros(n)
    given[rows] = np.round(mass * count, 9)
    mask = np.zeros(n, dtype=bool)
    mask[np.lexsort((nearest, -gain, -given))[:count]] = True
    return Kept(mask, gain)


def _costs(pairs: np.ndarray, reference: np.ndarray) -> Iterator[np.ndarray]:
    """1 - cos between pairs and reference, (at most 8,192, m) at a time."""
    for start in range(0, len(pairs), _CHUNK):
        yield 1.0 - pairs[start : start + _CHUNK] @ reference.T
