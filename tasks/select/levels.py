"""Clusters of instruction data: by difficulty first, then by task (LEAD, arXiv 2505.07437, section 4)."""

from __future__ import annotations

import numpy as np

from tasks.run import seeds
from tasks.select.cluster import kmeans

FEWEST = 8  # examples that a level, and a cluster inside it, has on average at least


def difficulty_levels(ratios: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """Levels of difficulty, by k-means of the IFD ratio (Li et al., 2024, arXiv 2308.12032).

    Args:
        ratios: loss of an answer after its question over that of the answer alone, (n,): the nearer to 1, the less the
            question helps.
        levels: wanted; fewer of few examples or of few different ratios.

    Returns:
        int32 (n,), 0 is the lowest level.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    wanted = max(1, min(levels, len(ratios) // FEWEST, len(np.unique(ratios))))
    with threadpool_limits(1):
        found = KMeans(wanted, n_init=4, random_state=seeds.integer(seed, "levels")).fit(ratios[:, None])
    rank = np.argsort(np.argsort(found.cluster_centers_[:, 0]))
    return np.asarray(rank[found.labels_], dtype=np.int32)


def task_clusters(
    vectors: np.ndarray, levels: np.ndarray, tasks: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of like texts inside each level.

    Args:
        vectors: of the texts, unit rows (n, d).
        levels: (n,), from `difficulty_levels`.
        tasks: clusters wanted in a level; fewer in one with few examples.

    Returns:
        Cluster of each example, int32 (n,), numbered level by level, and the level of each cluster, int32 (k,).
    """
    labels = np.zeros(len(levels), dtype=np.int32)
    owners: list[int] = []
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        wanted = max(1, min(tasks, len(rows) // FEWEST))
        found = kmeans(np.asarray(vectors[rows]), wanted, seeds.integer(seed, "tasks", int(level)))
        labels[rows] = len(owners) + found.labels
        owners += [int(level)] * len(found.centroids)
    return labels, np.array(owners, dtype=np.int32)
