"""Crowd-pivot: correlation clustering by asking about the candidates of randomly chosen records.

Ailon, Charikar and Newman (Aggregating inconsistent information, 2008) with a crowd in place of the edge labels, as in ACD (Wang,
Xiao and Lee, Crowd-based deduplication, SIGMOD 2015): take the first record of a random order, ask about its candidates that are
left; it and those that match are a cluster; go on with the rest. In expectation at most three times the least disagreement with the
answers.
"""

from __future__ import annotations

import numpy as np

from tasks.crowd.cost.pairs import Candidates, Plan, numbered


def crowd_pivot(pairs: Candidates, asks: np.ndarray, taken: np.ndarray, rank: np.ndarray) -> Plan[np.ndarray]:
    """Clusters of one pass.

    A round has every pivot that comes before all records that are left within two steps of it: no other pivot can take it, nor
    one of its candidates. So exactly what one pivot at a time would ask is asked, in fewer rounds.

    Args:
        asks: which pairs the crowd may be asked about, bool (m,).
        taken: which pairs count as matches without asking, bool (m,). All others count as none.
        rank: place of every record in the order of pivots, a permutation, int64 (n,).

    Returns:
        The cluster of every record, numbered by first record, int64 (n,).
    """
    cluster = np.arange(pairs.records)
    left = np.ones(pairs.records, dtype=bool)  # records that are in no cluster yet
    edges = np.flatnonzero(asks | taken)
    match = np.full(len(pairs), np.nan)
    while len(edges):
        pivot = left & (_first_near(_first_near(rank, pairs, edges), pairs, edges) == rank)
        near = edges[pivot[pairs.left[edges]] | pivot[pairs.right[edges]]]
        wanted = near[np.isnan(match[near]) & ~taken[near]]
        if len(wanted):
            match = yield wanted
        same = near[taken[near] | (match[near] > 0.5)]
        from_left = pivot[pairs.left[same]]
        pivots = np.where(from_left, pairs.left[same], pairs.right[same])
        others = np.where(from_left, pairs.right[same], pairs.left[same])
        cluster[others] = pivots
        left[pivot] = left[others] = False
        edges = edges[left[pairs.left[edges]] & left[pairs.right[edges]]]
    return numbered(cluster)


def _first_near(rank: np.ndarray, pairs: Candidates, edges: np.ndarray) -> np.ndarray:
    """The smallest rank of each record and those that an edge joins it to."""
    first = rank.copy()
    np.minimum.at(first, pairs.left[edges], rank[pairs.right[edges]])
    np.minimum.at(first, pairs.right[edges], rank[pairs.left[edges]])
    return first
