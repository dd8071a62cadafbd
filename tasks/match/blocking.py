"""Blocking: which pairs of records are worth comparing at all, and what that leaves out.

Records are compared by the cosine of their TF-IDF vectors of character n-grams, so misspelt words still meet. Memory stays
bounded, because the product of the two sparse tables is made a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.match.read import Pairs, Table
from tasks.records import BadInput

NEIGHBOURS = 10
MINIMUM = 0.2  # cosine
NGRAM = 3
_CHUNK = 1 << 23  # products of n-grams at a time, at most so many places of the sparse result; 100 MB
_COMMON = 1000  # records; what stands in more, and in more than a twentieth of them, is not looked up


@dataclass(frozen=True, slots=True)
class BlockingReport:
    """What blocking kept.

    Args:
        candidates: pairs kept.
        possible: pairs that there are.
        reduction: share of the possible pairs left out, 0 to 1.
        matches: true matches that are known, each once.
        recall: share of them among the candidates; None if none is known.
        missed: rows of the true matches that are not among the candidates, int64.
    """

    candidates: int
    possible: int
    reduction: float
    matches: int
    recall: float | None
    missed: np.ndarray


def candidates(
    left: Table,
    right: Table | None,
    attributes: Sequence[str],
    *,
    neighbours: int = NEIGHBOURS,
    minimum: float = MINIMUM,
    ngram: int = NGRAM,
) -> Pairs:
    """Pairs of each left record with its most similar right records.

    An n-gram that stands in more than 1,000 records and in more than 5 % of the right table finds nobody (it still
    counts for a record's length): what all records share tells none apart, and would cost most of the time. 100,000 records
    with 100,000 others take one to two minutes and some 200 MB above the tables.

    Args:
        left: one table.
        right: the other; None to find duplicates within `left`: a record is not paired with itself, and a pair is there
            once, whichever of the two found it.
        attributes: whose values are compared, as one text.
        neighbours: k, right records per left record, at most.
        minimum: cosine below which a record is no candidate, above 0 up to 1.
        ngram: characters of an n-gram; words are padded with a space on either side.

    Returns:
        Pairs by left row and then right row, without labels; none if nothing is similar.

    Raises:
        BadInput: neighbours or n-gram below 1, a minimum outside of 0 to 1, no attribute, or only missing values.
    """
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    if neighbours < 1 or ngram < 1 or not 0 < minimum <= 1:
        raise BadInput(
            f"blocking with {neighbours} neighbours, minimum similarity {minimum} and n-grams of {ngram}: give at least 1 "
            "neighbour, a minimum above 0 up to 1, and n-grams of at least 1 character"
        )
    if not attributes:
        raise BadInput("no attribute to compare; name at least one that both tables have")
    other = left if right is None else right
    texts = [_texts(left, attributes), [] if right is None else _texts(other, attributes)]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(ngram, ngram), dtype=np.float32)
    try:
        vectorizer.fit(texts[0] + texts[1])
    except ValueError:  # an empty vocabulary
        raise BadInput(
            f"{left.name}: nothing but missing values in {', '.join(attributes)}; choose other attributes"
        ) from None
    ours = csr_array(vectorizer.transform(texts[0]))
    theirs = ours if right is None else csr_array(vectorizer.transform(texts[1]))
    uses = np.bincount(theirs.indices, minlength=theirs.shape[1])
    telling = uses <= max(_COMMON, len(other) // 20)
    looked_up = csr_array(theirs.multiply(telling[None, :].astype(np.float32)))
    looked_up.eliminate_zeros()
    found = [
        _nearest(start, similar, neighbours, minimum, right is None)
        for start, similar in _products(ours, looked_up, np.where(telling, uses, 0))
    ]
    rows = np.concatenate([np.zeros((0, 2), dtype=np.int64), *found])
    if right is None:
        rows = np.sort(rows, axis=1)
    rows = np.unique(rows, axis=0)
    return Pairs(rows[:, 0], rows[:, 1])


def blocking_report(
    found: Pairs, left: Table, right: Table | None, truth: Pairs | None = None
) -> BlockingReport:
    """What the candidates hold of all pairs, and of the true matches as far as they are known.

    Args:
        found: the candidates, each once.
        left, right: the tables; right is None within one.
        truth: labelled pairs, of which those with label 1 count, or pairs without labels, which are all matches.
    """
    n = len(left)
    possible = n * (n - 1) // 2 if right is None else n * len(right)
    width = n if right is None else len(right)
    matches = np.zeros(0, dtype=np.int64)
    rows = matches
    if truth is not None:
        rows = np.arange(len(truth)) if truth.labels is None else np.flatnonzero(truth.labels == 1)
        matches, first = np.unique(truth.left[rows] * width + truth.right[rows], return_index=True)
        rows = rows[first]
    there = np.isin(matches, found.left * width + found.right)
    return BlockingReport(
        candidates=len(found),
        possible=possible,
        reduction=1.0 - len(found) / possible if possible else 0.0,
        matches=len(matches),
        recall=float(there.mean()) if len(matches) else None,
        missed=np.sort(rows[~there]),
    )


def _texts(table: Table, attributes: Sequence[str]) -> list[str]:
    return [" ".join(values) for values in zip(*(table.columns[name] for name in attributes), strict=True)]


def _products(ours: Any, theirs: Any, uses: np.ndarray) -> Iterator[tuple[int, Any]]:
    """Similarities of a few of our rows to all of theirs, sparse: as many rows as bound the work, one at the least."""
    from scipy.sparse import csr_array

    work = np.concatenate([[0], np.cumsum(uses[ours.indices])])[ours.indptr]
    columns = csr_array(theirs.T)
    start = 0
    while start < ours.shape[0]:
        stop = max(start + 1, int(np.searchsorted(work, work[start] + _CHUNK, side="right")) - 1)
        yield start, ours[start:stop] @ columns
        start = stop


def _nearest(start: int, similar: Any, count: int, minimum: float, one_table: bool) -> np.ndarray:
    """The pairs (row, column) of the `count` largest similarities of each row, of equals the lower column, (n, 2)."""
    sizes = np.diff(similar.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes) + start
    kept = similar.data >= minimum - 1e-6  # equal texts are at 1 but for rounding
    if one_table:
        kept &= rows != similar.indices
    rows, columns, values = rows[kept], similar.indices[kept].astype(np.int64), similar.data[kept]
    order = np.lexsort((columns, -values, rows))
    rows, columns = rows[order], columns[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return np.asarray(np.stack([rows, columns], axis=1)[rank < count])
