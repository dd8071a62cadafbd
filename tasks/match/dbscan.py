"""DBSCAN (Ester et al., KDD 1996) of questions, with memory that does not grow with how many are near to one another.

scikit-learn's holds every neighbourhood at once: of 50,000 questions of which each is near to a twentieth, 1 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_CHUNK = 1 << 22  # neighbours held at a time, at the most


def dbscan(points: np.ndarray, eps: float, min_samples: int = 1) -> np.ndarray:
    """Clusters of points, numbered by their first core point; noise is a cluster of its own point, numbered after them.

    A core point has at least `min_samples` points within `eps`, itself among them; core points within eps of each other
    share a cluster; any other point within eps of a core point is in the first such cluster.

    Args:
        points: (n, d).
        eps: Euclidean distance, at least 0; at 0 only equal points are near.
        min_samples: 1 makes every point a core point: clusters are then what chains of steps of at most eps connect.

    Returns:
        Cluster of each point, int64 (n,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import NearestNeighbors

    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    # Equal points are near to the same points: one stands for all.
    unique, first, inverse, counts = np.unique(
        points, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(-1)
    search = NearestNeighbors(radius=max(float(eps), 1e-12)).fit(unique)
    core = counts >= min_samples
    if not core.all():
        sizes = [_sums(counts, near) for _, near in _neighbourhoods(search, unique)]
        core = np.concatenate(sizes) >= min_samples
    groups = np.arange(len(unique))
    for start, near in _neighbourhoods(search, unique):
        rows = np.repeat(np.arange(start, start + len(near)), [len(one) for one in near])
        others = np.concatenate(near)
        both = core[rows] & core[others]
        edges = np.unique(np.stack([groups[rows[both]], groups[others[both]]]), axis=1)
        graph = coo_array((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(len(unique), len(unique)))
        groups = connected_components(graph, directed=False)[1][groups]
    # Numbered by the place of their first core point among the points given.
    earliest = np.full(len(unique), len(points))
    np.minimum.at(earliest, groups[core], first[core])
    used = np.flatnonzero(earliest < len(points))
    numbers = np.full(len(unique), -1)
    numbers[used[np.argsort(earliest[used])]] = np.arange(len(used))
    labels = np.where(core, numbers[groups], len(points))
    for start, near in _neighbourhoods(search, unique) if not core.all() else ():
        for row in np.flatnonzero(~core[start : start + len(near)]).tolist():
            reached = near[row][core[near[row]]]
            if len(reached):
                labels[start + row] = numbers[groups[reached]].min()
    found = labels[inverse]
    noise = found == len(points)
    found[noise] = len(used) + np.arange(int(noise.sum()))
    return np.asarray(found, dtype=np.int64)


def _neighbourhoods(search: Any, points: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The rows within reach of each point, a few points at a time."""
    step = max(1, _CHUNK // len(points))
    for start in range(0, len(points), step):
        found = search.radius_neighbors(points[start : start + step], return_distance=False)
        yield start, list(found)


def _sums(counts: np.ndarray, near: list[np.ndarray]) -> np.ndarray:
    return np.array([int(counts[rows].sum()) for rows in near], dtype=np.int64)
