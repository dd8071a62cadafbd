"""The linear datamodelling score: how well sums of scores foretell what trainings on random parts came to (arXiv 2303.14186)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from tasks.run.seeds import generator
from tasks.train.format import Ints

RESAMPLES = 2_000


def foretold(scores: np.ndarray, halves: Sequence[Ints]) -> np.ndarray:
    """Sums of scores (q, n) over the documents of each of s halves, (s, q)."""
    return np.stack([scores[:, rows].sum(axis=1) for rows in halves])


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's, of each column of two arrays (s, q), (q,); 0 where one of them does not vary."""
    ranks = [rankdata(values, axis=0) for values in (first, second)]
    one, other = (own - own.mean(axis=0) for own in ranks)
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return np.divide((one * other).sum(axis=0), scale, out=np.zeros(len(scale)), where=scale > 0)


def lds(losses: np.ndarray, sums: np.ndarray) -> float:
    """Linear datamodelling score of queries' losses (s, q) after trainings and of what was foretold of them (s, q): their mean."""
    return float(correlations(-losses, sums).mean())


def resampled(
    losses: np.ndarray, sums: Mapping[str, np.ndarray], resamples: int = RESAMPLES
) -> dict[str, np.ndarray]:
    """LDS of several scores on the same bootstrap samples, which draw both halves and queries, (resamples,) each."""
    random = generator(0, "bench", "lds", "bootstrap")
    count, queries = losses.shape
    found: dict[str, list[float]] = {name: [] for name in sums}
    for _ in range(resamples):
        drawn = np.ix_(random.integers(count, size=count), random.integers(queries, size=queries))
        for name, own in sums.items():
            found[name].append(lds(losses[drawn], own[drawn]))
    return {name: np.array(values) for name, values in found.items()}


def interval(values: np.ndarray) -> tuple[float, float]:
    """Percentiles that hold 95 % of a bootstrap."""
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def agreement(losses: np.ndarray) -> tuple[float, float]:
    """How far the order of the documents, and not which they are, decides: what bounds the LDS of any scores.

    Args:
        losses: (2 or more repeats, s, q) after trainings; nan where a repeat is missing.

    Returns:
        Mean correlation of two trainings' losses over the halves that have both, and the correlation that perfect scores would have
        with the mean of all repeats: the root of its reliability, by Spearman and Brown's formula. nan without repeats.
    """
    both = ~np.isnan(losses[:, :, 0]).any(axis=0)
    if len(losses) < 2 or both.sum() < 3:
        return math.nan, math.nan
    repeats = len(losses)
    found = [
        correlations(losses[one][both], losses[other][both]).mean()
        for other in range(repeats)
        for one in range(other)
    ]
    one = max(0.0, float(np.mean(found)))
    return one, math.sqrt(repeats * one / (1 + (repeats - 1) * one))
