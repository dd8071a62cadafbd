"""Which of the extracted pairs serve the reference: those that together move to it most cheaply.

Partial optimal transport (Figalli, 2010; Chapel et al., NeurIPS 2020): every reference example takes its share of mass from
pairs of which none may give more than 1 / count, and what is not asked for stays where it is. So a pair is kept for an
example that it is near to, and not because it is near to the mean of all. The linear programme's dual variables say what
any other pair would have saved, which is what a strategy learns from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.run import seeds
from tasks.select.transport import MAX_REFERENCE, sample_rows, solve_partial_transport

MAX_PAIRS = 8192  # that are priced exactly: with 1,024 references some 70 MB and a second
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Kept:
    """A choice among n pairs.

    Args:
        mask: bool (n,), the pairs kept.
        gain: (n,), at least 0: how much cheaper the mass that this pair gives is than what would be given in its place,
            in units of the cost 1 - cos; 0 for a pair that is not worth keeping.
    """

    mask: np.ndarray
    gain: np.ndarray


def keep_nearest(pairs: np.ndarray, reference: np.ndarray, count: int, *, seed: int = 0) -> Kept:
    """The `count` pairs whose transport to the reference is cheapest, cost 1 - cos.

    Exact up to 8,192 pairs and 1,024 reference examples; where the solution shares a place between pairs, those that give
    the most have it. Of more pairs a sample of that size makes the prices, and those are kept that gain most by them, so
    that memory and time for a choice are bounded but for the pricing, which takes the pairs in chunks.

    Args:
        pairs: unit rows (n, d).
        reference: unit rows (m, d), m at least 1.
        count: pairs to keep, at least 1; all are kept where there are no more, and their gain is 0.
        seed: draws the samples.
    """
    from threadpoolctl import threadpool_limits

    n = len(pairs)
    if n <= count:
        return Kept(np.ones(n, dtype=bool), np.zeros(n))
    reference = sample_rows(reference, MAX_REFERENCE, seed)
    rows = np.arange(n)
    if n > MAX_PAIRS:
        rows = np.sort(seeds.generator(seed, "keep", "sample").choice(n, MAX_PAIRS, replace=False))
    places = min(max(1, round(count * len(rows) / n)), len(rows) - 1)
    # One thread: sums of floats differ with their number, and by them what is kept.
    with threadpool_limits(1):
        mass, prices, idle = solve_partial_transport(1.0 - pairs[rows] @ reference.T, places)
        saved = -idle - np.concatenate([(cost - prices).min(axis=1) for cost in _costs(pairs, reference)])
    given = np.zeros(n)
    if len(rows) == n:
        given = np.round(mass * places, 9)
    mask = np.zeros(n, dtype=bool)
    mask[np.lexsort((-saved, -given))[:count]] = True
    return Kept(mask, np.maximum(0.0, saved))


def _costs(pairs: np.ndarray, reference: np.ndarray) -> Iterator[np.ndarray]:
    """1 - cos between pairs and reference, (at most 8,192, m) at a time."""
    for start in range(0, len(pairs), _CHUNK):
        yield 1.0 - pairs[start : start + _CHUNK] @ reference.T
