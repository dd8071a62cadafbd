"""TSDS's order of documents: every reference example spreads over its nearest documents, near-duplicates count once.

Liu et al., TSDS: Data Selection for Task-Specific Model Finetuning, arXiv 2410.11303. Their transport problem gives each
example's mass to its nearest candidates, each of which takes at most 1 / (s rho) of it, rho being the kernel density at
the candidate and s growing with the wish for diversity, which a parameter sets. Here the budget sets it: documents are
ranked by the least s at which any example's mass reaches them, so that the first k are those that carry mass when k do.
"""

from __future__ import annotations

import numpy as np

SIGMA = 0.75  # width of the kernel in the published settings, for unit vectors
MAX_NEIGHBOURS = 5000
_CHUNK = 2048


def tsds_scores(
    vectors: np.ndarray, reference: np.ndarray, *, sigma: float = SIGMA, neighbours: int = MAX_NEIGHBOURS
) -> np.ndarray:
    """Scores whose k highest are the k documents that TSDS would give mass to.

    Args:
        vectors: of the documents, unit rows (n, d).
        reference: unit rows (m, d).
        sigma: documents nearer to each other than this distance count as part of one another.
        neighbours: of each example, at most this many, and a tenth of the documents; documents that are no example's
            neighbour come last, the nearest to any example first.

    Returns:
        (n,), float64.
    """
    from threadpoolctl import threadpool_limits

    n = len(vectors)
    wanted = max(1, min(neighbours, n // 10))
    with threadpool_limits(1):
        similar = np.asarray(reference @ vectors.T)
        order = np.argpartition(-similar, wanted - 1, axis=1)[:, :wanted]
        ranks = np.argsort(-np.take_along_axis(similar, order, axis=1), axis=1, kind="stable")
        order = np.take_along_axis(order, ranks, axis=1)
        found = np.unique(order)
        density = np.zeros(n)
        density[found] = _density(np.asarray(vectors[found]), sigma)
    # Mass that an example has spent before it comes to a document, in units of 1 / s.
    weights = 1.0 / density[order]
    spent = np.cumsum(weights, axis=1) - weights
    entered = np.full(n, np.inf)
    np.minimum.at(entered, order, spent)
    last = float(entered[found].max()) + 1.0
    entered[np.isinf(entered)] = last
    return np.asarray(-entered + 1e-6 * similar.max(axis=0))


def _density(vectors: np.ndarray, sigma: float) -> np.ndarray:
    """Sum over all of them of max(0, 1 - squared distance / sigma^2), itself among them, so at least 1; (n,)."""
    parts = []
    for start in range(0, len(vectors), _CHUNK):
        distance = 2.0 - 2.0 * (vectors[start : start + _CHUNK] @ vectors.T)
        parts.append(np.maximum(0.0, 1.0 - distance / sigma**2).sum(axis=1, dtype=np.float64))
    return np.asarray(np.maximum(1.0, np.concatenate(parts)))
