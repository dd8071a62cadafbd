"""TSDS's order of documents: every reference example spreads over its nearest documents, near-duplicates count once.

Liu et al., TSDS: Data Selection for Task-Specific Model Finetuning, arXiv 2410.11303. Their transport problem gives each
example's mass to its nearest candidates, each of which takes at most 1 / (s rho) of it, rho being the kernel density at
the candidate and s growing with the wish for diversity, which a parameter sets. Here the budget sets it: documents are
ranked by the least s at which any example's mass reaches them, so that the first k are those that carry mass when k do.
"""

from __future__ import annotations

import numpy as np

from tasks.select.ranked import similarity_to
from tasks.select.transport import MAX_REFERENCE, sample_rows

SIGMA = 0.75  # width of the kernel in the published settings, for unit vectors
MAX_NEIGHBOURS = 5000  # of an example, and at most a tenth of the documents
MAX_FOUND = 200_000  # neighbours of all examples: their densities take time for the square of it
_CHUNK = 4096


def tsds_scores(
    vectors: np.ndarray, reference: np.ndarray, *, sigma: float = SIGMA, seed: int = 0
) -> np.ndarray:
    """Scores whose k highest are the k documents that TSDS would give mass to.

    Documents that are no example's neighbour come last, the nearest to the mean of the reference first.

    Args:
        vectors: of the documents, unit rows (n, d); may be memory-mapped.
        reference: unit rows (m, d); of more than 1,024 a sample is taken.
        sigma: documents nearer to each other than this distance count as part of one another.
        seed: draws the sample.

    Returns:
        (n,), float64.
    """
    from threadpoolctl import threadpool_limits

    n = len(vectors)
    reference = sample_rows(reference, MAX_REFERENCE, seed)
    wanted = max(1, min(MAX_NEIGHBOURS, n // 10, MAX_FOUND // len(reference)))
    with threadpool_limits(1):
        order = _neighbours(vectors, reference, wanted)
        found = np.unique(order)
        density = np.ones(n)
        density[found] = _density(np.asarray(vectors[found]), sigma)
    # Mass that an example has spent before it comes to a document, in units of 1 / s.
    weights = 1.0 / density[order]
    spent = np.cumsum(weights, axis=1) - weights
    entered = np.full(n, np.inf)
    np.minimum.at(entered, order, spent)
    last = float(entered[found].max()) + 1.0
    entered[np.isinf(entered)] = last
    return np.asarray(-entered + 1e-6 * similarity_to(reference, vectors))


def _neighbours(vectors: np.ndarray, reference: np.ndarray, wanted: int) -> np.ndarray:
    """The documents nearest to each reference example, nearest first, (m, wanted); documents are taken in chunks."""
    best = np.zeros((len(reference), 0), dtype=np.float32)
    rows = np.zeros((len(reference), 0), dtype=np.int64)
    for start in range(0, len(vectors), _CHUNK):
        similar = reference @ np.asarray(vectors[start : start + _CHUNK]).T
        best = np.concatenate([best, similar], axis=1)
        rows = np.concatenate(
            [rows, np.broadcast_to(np.arange(start, start + similar.shape[1]), similar.shape)], axis=1
        )
        order = np.argsort(-best, axis=1, kind="stable")[:, :wanted]
        best, rows = np.take_along_axis(best, order, axis=1), np.take_along_axis(rows, order, axis=1)
    return rows


def _density(vectors: np.ndarray, sigma: float) -> np.ndarray:
    """Sum over all of them of max(0, 1 - squared distance / sigma^2), itself among them, so at least 1; (n,)."""
    parts = []
    for start in range(0, len(vectors), _CHUNK):
        distance = 2.0 - 2.0 * (vectors[start : start + _CHUNK] @ vectors.T)
        parts.append(np.maximum(0.0, 1.0 - distance / sigma**2).sum(axis=1, dtype=np.float64))
    return np.asarray(np.maximum(1.0, np.concatenate(parts)))
