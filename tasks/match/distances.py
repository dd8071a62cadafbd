"""Euclidean distances between two sets of pairs, in chunks: of 2,473 questions to 9,890 demonstrations nobody holds all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tasks.run import seeds

_CHUNK = 1 << 22  # distances at a time, 32 MB
_BINS = 1 << 14
_MOST = 1 << 28  # distances that a percentile is taken of; of more a sample is


def distance_chunks(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Distances of a few rows at a time to all columns.

    Args:
        rows, columns: features (n, d) and (m, d).

    Yields:
        The first row of a chunk, and its distances, float64 (rows of the chunk, m). Equal features are at exactly 0.
    """
    from scipy.spatial.distance import cdist

    step = max(1, _CHUNK // max(1, len(columns)))
    for start in range(0, len(rows), step):
        yield start, cdist(rows[start : start + step], columns)


def percentiles(
    rows: np.ndarray, columns: np.ndarray, wanted: Sequence[float], *, seed: int = 0
) -> list[float]:
    """Percentiles of all distances between rows and columns, as numpy.percentile interpolates them, without holding all.

    Exact up to 2^28 distances; of more, those between the rows and a random sample of the columns (and where the rows
    alone are more, a sample of both) are taken.

    Args:
        rows, columns: features (n, d) and (m, d), at least one each.
        wanted: percents, 0 to 100.
        seed: draws the sample.
    """
    if len(rows) * len(columns) > _MOST:
        rows = _sample(rows, int(_MOST**0.5), seed)
        columns = _sample(columns, _MOST // len(rows), seed)
    total = len(rows) * len(columns)
    corners = np.stack(
        [np.minimum(rows.min(axis=0), columns.min(axis=0)), rows.max(axis=0), columns.max(axis=0)]
    )
    top = float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    if top == 0.0:
        return [0.0] * len(wanted)
    # One pass counts the distances in equal bins, the next keeps those in the bins that the percentiles fall into.
    counts = np.zeros(_BINS, dtype=np.int64)
    for _, block in distance_chunks(rows, columns):
        counts += np.bincount(_bins(block, top).ravel(), minlength=_BINS)
    before = np.concatenate([[0], np.cumsum(counts)])
    places = [percent / 100.0 * (total - 1) for percent in wanted]
    needed = sorted({min(total - 1, int(place) + more) for place in places for more in (0, 1)})
    bins = np.searchsorted(before, needed, side="right") - 1
    kept: list[list[np.ndarray]] = [[] for _ in needed]
    for _, block in distance_chunks(rows, columns):
        placed = _bins(block, top)
        for at, bin in enumerate(bins.tolist()):
            if at == 0 or bin != bins[at - 1]:
                kept[at].append(block[placed == bin])
    values: dict[int, float] = {}
    for at, (rank, bin) in enumerate(zip(needed, bins.tolist(), strict=True)):
        if kept[at]:
            inside = np.sort(np.concatenate(kept[at]))
        values[rank] = float(inside[rank - before[bin]])
    found = []
    for place in places:
        low = values[int(place)]
        high = values[min(total - 1, int(place) + 1)]
        found.append(low + (high - low) * (place - int(place)))
    return found


def nearest(rows: np.ndarray, columns: np.ndarray, count: int = 1) -> np.ndarray:
    """The `count` columns nearest to each row, nearest first and of equals the lower, int64 (n, min(count, m))."""
    parts = [_smallest(block, count) for _, block in distance_chunks(rows, columns)]
    return np.concatenate(parts) if parts else np.zeros((0, min(count, len(columns))), dtype=np.int64)


def _smallest(block: np.ndarray, count: int) -> np.ndarray:
    if count >= block.shape[1]:
        return np.asarray(np.argsort(block, axis=1, kind="stable"))
    if count == 1:
        return np.asarray(np.argmin(block, axis=1)[:, None])
    # What is above the count-th distance is out; a stable order of the rest keeps the lower of equals.
    limit = np.partition(block, count - 1, axis=1)[:, count - 1]
    found = np.empty((len(block), count), dtype=np.int64)
    for row in range(len(block)):
        near = np.flatnonzero(block[row] <= limit[row])
        found[row] = near[np.argsort(block[row, near], kind="stable")[:count]]
    return found


def _bins(block: np.ndarray, top: float) -> np.ndarray:
    return np.asarray(np.minimum(_BINS - 1, (block * (_BINS / top)).astype(np.int64)))


def _sample(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return rows[np.sort(seeds.generator(seed, "match", "percentiles").choice(len(rows), most, replace=False))]
