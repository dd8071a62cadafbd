"""Which questions share a prompt: BATCHER's question batching (arXiv 2312.03987, section IV).

Diversity was the best in the paper: questions that differ help the model tell them apart, and alike ones are answered alike.
"""

from __future__ import annotations

import heapq

import numpy as np

from tasks.match.dbscan import dbscan
from tasks.match.distances import percentiles
from tasks.records import BadInput
from tasks.run import seeds

RANDOM, SIMILARITY, DIVERSITY = "random", "similarity", "diversity"
BATCHINGS = (RANDOM, SIMILARITY, DIVERSITY)

BATCH_SIZE = 8
EPS_PERCENTILE = 1.0  # the authors' choice of eps
MIN_SAMPLES = (
    1  # the authors' for 5 of 8 data sets; the others had 8. No question is noise, however few there are.
)


def cluster_questions(
    questions: np.ndarray,
    pool: np.ndarray,
    *,
    percentile: float = EPS_PERCENTILE,
    min_samples: int = MIN_SAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """DBSCAN clusters of the questions, a noise point being a cluster of its own.

    Args:
        questions, pool: features (n, d) and (p, d).
        percentile: of the distances between questions and demonstrations, which eps is.
        min_samples: questions within eps that make a question a core point, itself among them.
        seed: draws the sample of distances where there are very many.

    Returns:
        int64 (n,).

    Raises:
        BadInput: the pool is empty.
    """
    if len(questions) == 0:
        return np.zeros(0, dtype=np.int64)
    if len(pool) == 0:
        raise BadInput("the pool of demonstrations is empty; give at least one pair to label")
    return dbscan(questions, percentiles(questions, pool, [percentile], seed=seed)[0], min_samples)


def make_batches(
    strategy: str, clusters: np.ndarray, size: int = BATCH_SIZE, *, seed: int = 0
) -> list[np.ndarray]:
    """Batches that hold every question once; all have `size` questions but the last.

    - random: whatever the clusters are.
    - similarity: as many batches as possible lie in one cluster; what is left of the clusters is put together.
    - diversity: as many batches as possible hold `size` different clusters, because each batch takes from those that have
      the most left; then as few of a kind as what is left allows.

    Args:
        strategy: of BATCHINGS.
        clusters: of each question, (n,).
        size: b, at least 1.
        seed: draws the order of questions within a cluster and of clusters of one size.

    Returns:
        Rows of questions, int64, one array per batch; none if there is no question.

    Raises:
        BadInput: an unknown strategy, or a size below 1.
    """
    if strategy not in BATCHINGS:
        raise BadInput(f"batching {strategy}: unknown; give one of {', '.join(BATCHINGS)}")
    if size < 1:
        raise BadInput(f"batch size {size}: give at least 1 question a batch")
    shuffled = seeds.generator(seed, "match", "batches", strategy).permutation(len(clusters))
    if strategy == RANDOM:
        return _chopped(shuffled, size)
    labels = clusters[shuffled]
    # Clusters by their first question in the shuffled order, so that no order of the labels is left.
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    place = first[inverse]
    order = np.argsort(place, kind="stable")
    groups = np.split(shuffled[order], np.flatnonzero(np.diff(place[order])) + 1) if len(order) else []
    return _similar(groups, size) if strategy == SIMILARITY else _diverse(groups, size)


def _similar(groups: list[np.ndarray], size: int) -> list[np.ndarray]:
    batches, rest = [], []
    for group in groups:
        whole = len(group) - len(group) % size
        batches += _chopped(group[:whole], size)
        rest.append(group[whole:])
    return batches + (_chopped(np.concatenate(rest), size) if rest else [])


def _diverse(groups: list[np.ndarray], size: int) -> list[np.ndarray]:
    left = [(-len(group), number) for number, group in enumerate(groups)]
    heapq.heapify(left)
    taken = [0] * len(groups)
    total = sum(map(len, groups))
    batches: list[np.ndarray] = []
    while left:
        batch: list[int] = []
        aside: list[tuple[int, int]] = []
        while len(batch) < min(size, total - size * len(batches)):
            if not left:  # fewer clusters than places: another round over those there are
                left, aside = aside, []
                heapq.heapify(left)
            count, number = heapq.heappop(left)
            batch.append(int(groups[number][taken[number]]))
            taken[number] += 1
            if count + 1:
                aside.append((count + 1, number))
        for entry in aside:
            heapq.heappush(left, entry)
        batches.append(np.array(batch, dtype=np.int64))
    return batches


def _chopped(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size].astype(np.int64) for start in range(0, len(rows), size)]
