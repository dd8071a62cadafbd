"""Clusters of instruction data: by difficulty and by task (LEAD, arXiv 2505.07437, section 4), or by task and by difficulty."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tasks.run import seeds
from tasks.select.cluster import kmeans

Arms = Literal["task", "difficulty"]

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


def levels_in_tasks(
    vectors: np.ndarray, losses: np.ndarray, tasks: int, levels: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of like texts, and inside each levels of the loss with as many examples each.

    Losses of different tasks cannot be compared: what is hard for a text of one kind is easy for another. Inside a task a high
    loss may be a mistake. With levels of one size no cluster is so small that its mean reward is mostly chance.

    Args:
        vectors: of the texts, unit rows (n, d).
        losses: (n,).
        tasks: clusters wanted; fewer of few examples.
        levels: wanted in each; fewer in one with few examples.

    Returns:
        As `task_clusters`, numbered task by task; level 0 has the lowest losses of its task.
    """
    found = kmeans(
        np.asarray(vectors), max(1, min(tasks, len(vectors) // FEWEST)), seeds.integer(seed, "tasks")
    )
    labels = np.zeros(len(losses), dtype=np.int32)
    owners: list[int] = []
    for task in range(len(found.centroids)):
        rows = np.flatnonzero(found.labels == task)
        rows = rows[np.argsort(losses[rows], kind="stable")]
        parts = max(1, min(levels, len(rows) // FEWEST))
        labels[rows] = len(owners) + np.arange(len(rows)) * parts // max(1, len(rows))
        owners += range(parts)
    return labels, np.array(owners, dtype=np.int32)
