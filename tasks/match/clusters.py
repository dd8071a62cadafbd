"""From matching pairs to entities: connected components, and at most one partner per record."""

from __future__ import annotations

import numpy as np

from tasks.match.read import Pairs


def entities(matches: Pairs, left: int, right: int | None = None) -> np.ndarray:
    """The entity of every record: records that a chain of matches connects are one.

    Args:
        matches: pairs decided to match.
        left: records of the left table.
        right: records of the right table; None where both sides are rows of the one table.

    Returns:
        int64 (left + right,), the left table's records first; numbered by their first record.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    total = left + (right or 0)
    others = matches.right + (0 if right is None else left)
    graph = coo_array((np.ones(len(matches)), (matches.left, others)), shape=(total, total))
    labels = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return np.asarray(place[inverse])


def one_to_one(pairs: Pairs, probabilities: np.ndarray) -> np.ndarray:
    """The pairs that give every record of two tables at most one partner, with the largest total probability.

    Exact, by an assignment over the pairs given alone, so that time and memory follow their number and not that of the
    records. What is no match does not belong among `pairs`: a record alone takes what partner it can get.

    Args:
        pairs: of two tables, each pair once or more.
        probabilities: of each, 0 to 1, (n,).

    Returns:
        Rows of the pairs chosen, sorted, int64; a pair of probability 0 is never among them.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    # Of a pair that is given twice the likeliest.
    order = np.lexsort((-probabilities, pairs.right, pairs.left))
    ours, theirs = pairs.left[order], pairs.right[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (np.diff(ours) == 0) & (np.diff(theirs) == 0)
    rows = order[~again & (probabilities[order] > 0)]
    if len(rows) == 0:
        return np.zeros(0, dtype=np.int64)
    _, left = np.unique(pairs.left[rows], return_inverse=True)
    names, right = np.unique(pairs.right[rows], return_inverse=True)
    n, m = int(left.max()) + 1, len(names)
    # To stay alone is a partner of one's own, at the price of a pair of probability 0.
    costs = np.concatenate([2.0 - probabilities[rows], np.full(n, 2.0)])
    ends = np.concatenate([left, np.arange(n)]), np.concatenate([right, m + np.arange(n)])
    matched = min_weight_full_bipartite_matching(csr_array((costs, ends), shape=(n, m + n)))
    chosen = dict(zip(matched[0].tolist(), matched[1].tolist(), strict=True))
    kept = [chosen[a] == b for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    return np.sort(rows[np.array(kept)])
