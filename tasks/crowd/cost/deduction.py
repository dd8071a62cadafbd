"""What follows from answers about pairs by transitivity, so that it need not be asked.

a = b and b = c give a = c; a = b and b != c give a != c (Wang et al., Leveraging transitive relations for crowdsourced
joins, SIGMOD 2013). Matches come first, because only they deduce: pairs are asked in falling likelihood. A round publishes
every pair that could not be deduced were all pairs published before it matches. Where nothing is known to differ yet, such a pair cannot be
deduced whatever the answers are; later an answer that is no match may have made one superfluous, which to rule out takes more rounds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tasks.crowd.cost.pairs import Candidates, Plan, numbered


class Known:
    """What is known of records: which are the same (union-find), and which of those groups differ.

    Args:
        records: how many there are.
    """

    def __init__(self, records: int) -> None:
        self._parent = list(range(records))
        self._size = [1] * records
        self._different: dict[int, set[int]] = {}

    def copy(self) -> Known:
        """As it is now; what is added to one of the two is not known to the other."""
        made = Known(0)
        made._parent, made._size = self._parent.copy(), self._size.copy()
        made._different = {root: others.copy() for root, others in self._different.items()}
        return made

    def says(self, one: int, other: int) -> bool | None:
        """Whether two records are the same; None if nothing that is known says."""
        one, other = self._root(one), self._root(other)
        if one == other:
            return True
        return False if other in self._different.get(one, ()) else None

    def add(self, one: int, other: int, same: bool) -> bool:
        """Take an answer in. Returns False, and takes nothing in, if what is known says the opposite."""
        said = self.says(one, other)
        if said is not None:
            return said is same
        one, other = self._root(one), self._root(other)
        if same:
            self._join(one, other)
        else:
            self._different.setdefault(one, set()).add(other)
            self._different.setdefault(other, set()).add(one)
        return True

    def clusters(self) -> np.ndarray:
        """The group of every record, numbered by first record, int64 (n,)."""
        return numbered(np.array([self._root(one) for one in range(len(self._parent))], dtype=np.int64))

    def _root(self, one: int) -> int:
        parent = self._parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def _join(self, one: int, other: int) -> None:
        if self._size[one] < self._size[other]:
            one, other = other, one
        self._parent[other] = one
        self._size[one] += self._size[other]
        for third in self._different.pop(other, ()):
            self._different[third].discard(other)
            self._different[third].add(one)
            self._different.setdefault(one, set()).add(third)


def consistent(pairs: Candidates, match: np.ndarray) -> tuple[Known, np.ndarray]:
    """What is known of evidence that may contradict itself, as workers and machines err.

    The surest evidence comes first: by distance of its probability from 1/2, of equals the likelier by machine score, then the
    lower row. What contradicts the evidence before it is dropped. A probability of exactly 1/2 says nothing.

    Args:
        match: probability that a pair is a match, float64 (m,); NaN where there is no evidence.

    Returns:
        What is known, and rows of the evidence that was dropped, int64.
    """
    sure = np.abs(match - 0.5)
    rows = np.flatnonzero(sure > 0)  # not so where it is NaN
    rows = rows[np.lexsort((rows, -pairs.score[rows], -sure[rows]))]
    known, dropped = Known(pairs.records), []
    for row, one, other, same in _told(rows, pairs.left, pairs.right, match > 0.5):
        if not known.add(one, other, same):
            dropped.append(row)
    return known, np.array(sorted(dropped), dtype=np.int64)


def to_publish(known: Known, pairs: Candidates, rows: Iterable[int]) -> np.ndarray:
    """The pairs to ask in one round.

    Args:
        rows: of pairs that are not answered, in the order they are asked in.

    Returns:
        Those of them that cannot be deduced if those among them that come before are matches, int64.
    """
    assumed, published = known.copy(), []
    rows = np.fromiter(rows, dtype=np.int64)
    for row, one, other in _told(rows, pairs.left, pairs.right):
        if assumed.says(one, other) is None:
            published.append(row)
            assumed.add(one, other, True)
    return np.array(published, dtype=np.int64)


def deduce(pairs: Candidates, asks: np.ndarray, match: np.ndarray) -> Plan[np.ndarray]:
    """Ask what cannot be deduced.

    Args:
        asks: which pairs may be asked, bool (m,).
        match: what is known of pairs without asking, as probabilities, float64 (m,); NaN where nothing is.

    Returns:
        The evidence, as probabilities of pairs, float64 (m,); `consistent` says what follows.
    """
    given, order = match, pairs.order[asks[pairs.order]]
    while True:
        known, _ = consistent(pairs, match)
        rows = to_publish(known, pairs, order[np.isnan(match[order])])
        if not len(rows):
            return match
        said = yield rows
        match = np.where(np.isnan(said), given, said)


def _told(rows: np.ndarray, *columns: np.ndarray) -> Iterable[tuple]:
    """Rows and their values in each column, as Python's own numbers, which are much faster one by one."""
    return zip(rows.tolist(), *(column[rows].tolist() for column in columns), strict=True)
