"""Refinement of clusters: split a record off, or merge two clusters, where that is expected to lessen disagreement most per question.

The third phase of ACD (Wang, Xiao and Lee, Crowd-based deduplication, SIGMOD 2015). Disagreement is the sum over pairs within clusters of the
probability that they differ, and over pairs across clusters of the probability that they match; a pair that is no candidate is taken to
differ. What the crowd has not been asked is expected as what it said of pairs of like scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.crowd.cost.pairs import Candidates, Plan, numbered

_SHARE = 8  # a round asks at most this part of what is not asked, so that later rounds choose by its answers
_LEAST = 10  # answers from which expectations are learnt
_TINY = 1e-9  # a benefit that is rounding


@dataclass(frozen=True)
class Operations:
    """Splits and merges that could be done, o of them.

    Args:
        first, second: clusters, int64 (o,): merge the two; of a split both are the one that the record is in.
        record: that is split off, int64 (o,); -1 of a merge.
        benefit: by how much disagreement is expected to fall, float64 (o,).
        questions: pairs that must be asked to know it, int64 (o,).
    """

    first: np.ndarray
    second: np.ndarray
    record: np.ndarray
    benefit: np.ndarray
    questions: np.ndarray


def refine(
    pairs: Candidates, asks: np.ndarray, taken: np.ndarray, match: np.ndarray, cluster: np.ndarray
) -> Plan[np.ndarray]:
    """Better clusters, by asking what is worth it.

    Operations of a round touch no cluster twice, so their benefits add up. One is done only when all its pairs are answered and
    it lessens disagreement, which therefore falls with each.

    Args:
        asks, taken: as of `crowd_pivot`.
        match: probability that a pair is a match as the crowd said so far, float64 (m,), NaN where it was not asked.
        cluster: of every record, int64 (n,).

    Returns:
        The cluster of every record, numbered by first record, int64 (n,).
    """
    cluster = numbered(cluster)
    while True:
        open_pairs = asks & np.isnan(match)
        likely = _expected(pairs, asks, taken, match)
        found = operations(pairs, likely, open_pairs, cluster)
        if len(sure := _disjoint(found, (found.questions == 0), pairs.records)):
            cluster = _done(found, sure, cluster)
            continue
        chosen = _disjoint(
            found, found.questions > 0, pairs.records, limit=max(1, int(open_pairs.sum()) // _SHARE)
        )
        if not len(chosen):
            return cluster
        match = yield _pairs_of(found, chosen, pairs, open_pairs, cluster)


def operations(
    pairs: Candidates, likely: np.ndarray, open_pairs: np.ndarray, cluster: np.ndarray
) -> Operations:
    """Every split of a record from its cluster, and every merge of two clusters that a candidate pair joins.

    Args:
        likely: probability that a pair matches, known or expected, float64 (m,).
        open_pairs: which pairs have not been asked but may be, bool (m,).
        cluster: of every record, 0 to c - 1, int64 (n,).
    """
    size = np.bincount(cluster)
    ends = cluster[pairs.left], cluster[pairs.right]
    within = ends[0] == ends[1]
    # Splits: every fellow that is thought to match is lost, every other won.
    both = np.concatenate([pairs.left[within], pairs.right[within]])
    fellows = np.bincount(both, np.tile(likely[within], 2), pairs.records)
    asked = np.bincount(both, np.tile(open_pairs[within], 2), pairs.records)
    splits = np.flatnonzero(size[cluster] > 1)
    won = size[cluster[splits]] - 1 - 2 * fellows[splits]
    # Merges: every pair across that is thought to match is won, every other lost.
    low, high = np.minimum(*ends)[~within], np.maximum(*ends)[~within]
    joined, of = np.unique(low * len(size) + high, return_inverse=True)
    first, second = np.divmod(joined, max(1, len(size)))
    across = 2 * np.bincount(of, likely[~within], len(joined)) - size[first] * size[second]
    return Operations(
        np.concatenate([cluster[splits], first]).astype(np.int64),
        np.concatenate([cluster[splits], second]).astype(np.int64),
        np.concatenate([splits, np.full(len(joined), -1)]).astype(np.int64),
        np.concatenate([won, across]),
        np.concatenate([asked[splits], np.bincount(of, open_pairs[~within], len(joined))]).astype(np.int64),
    )


def disagreement(pairs: Candidates, likely: np.ndarray, cluster: np.ndarray) -> float:
    """What refinement lessens: how much clusters and probabilities contradict each other."""
    within = cluster[pairs.left] == cluster[pairs.right]
    size = np.bincount(cluster)
    never = (size * (size - 1) // 2).sum() - within.sum()  # pairs within that are no candidates
    return float(np.where(within, 1 - likely, likely).sum() + never)


def _expected(pairs: Candidates, asks: np.ndarray, taken: np.ndarray, match: np.ndarray) -> np.ndarray:
    """Probability that each pair matches: as said, or as said of pairs with such scores; 1 if taken, and 0 if pruned."""
    from sklearn.isotonic import IsotonicRegression

    said = ~np.isnan(match)
    likely = pairs.score.copy()
    if said.sum() >= _LEAST:
        by_score = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        likely = by_score.fit(pairs.score[said], match[said]).predict(pairs.score)
    likely = np.where(asks, likely, taken.astype(float))
    return np.where(said, match, likely)


def _disjoint(found: Operations, allowed: np.ndarray, records: int, limit: int | None = None) -> np.ndarray:
    """Operations with a benefit, the largest per question first, that touch no cluster twice, int64.

    Args:
        limit: questions, unless the first alone has more.
    """
    rows = np.flatnonzero(allowed & (found.benefit > _TINY))
    worth = found.benefit[rows] / np.maximum(1, found.questions[rows])
    rows = rows[np.lexsort((rows, -worth))]
    touched, questions = np.zeros(records, dtype=bool), 0
    chosen: list[int] = []
    for row in rows.tolist():
        first, second = found.first[row], found.second[row]
        if touched[first] or touched[second]:
            continue
        questions += int(found.questions[row])
        if limit is not None and chosen and questions > limit:
            break
        touched[first] = touched[second] = True
        chosen.append(row)
    return np.array(chosen, dtype=np.int64)


def _done(found: Operations, rows: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Clusters after some operations that touch none of them twice."""
    cluster, fresh = cluster.copy(), int(cluster.max()) + 1
    for row in rows.tolist():
        if found.record[row] >= 0:
            cluster[found.record[row]] = fresh
            fresh += 1
        else:
            cluster[cluster == found.second[row]] = found.first[row]
    return numbered(cluster)


def _pairs_of(
    found: Operations, rows: np.ndarray, pairs: Candidates, open_pairs: np.ndarray, cluster: np.ndarray
) -> np.ndarray:
    """The pairs to ask for some operations, sorted, int64."""
    ends = cluster[pairs.left], cluster[pairs.right]
    within = ends[0] == ends[1]
    split = np.zeros(pairs.records, dtype=bool)
    split[found.record[rows][found.record[rows] >= 0]] = True
    clusters = int(cluster.max()) + 1
    merges = rows[found.record[rows] < 0]
    joined = found.first[merges] * clusters + found.second[merges]
    of_split = within & (split[pairs.left] | split[pairs.right])
    of_merge = ~within & np.isin(np.minimum(*ends) * clusters + np.maximum(*ends), joined)
    return np.flatnonzero(open_pairs & (of_split | of_merge))
