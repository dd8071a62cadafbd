"""Which demonstrations cover which questions, and the greedy cover that BATCHER labels and prompts with.

arXiv 2312.03987, section V: a demonstration covers a question if their distance is below t, a percentile of the distances
between all questions and all demonstrations. The greedy choice is at most ln(n) + 1 times the optimum (Chvatal, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.match.distances import distance_chunks, percentiles
from tasks.records import BadInput
from tasks.run import seeds

PERCENTILE = 8.0  # the authors' choice of t
MAX_COVERED = 1 << 28  # questions x demonstrations that are looked at; of a larger pool a sample is


@dataclass(frozen=True, slots=True)
class Cover:
    """Who covers whom, q questions and p demonstrations.

    Args:
        threshold: t, in units of the features' distance.
        matrix: scipy CSR, bool (q, p); true where the demonstration covers the question.
        nearest: the nearest demonstration of each question, int64 (q,).
    """

    threshold: float
    matrix: Any
    nearest: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """Rows of the questions that no demonstration covers."""
        return np.flatnonzero(np.diff(self.matrix.indptr) == 0)


def cover_of(
    questions: np.ndarray, pool: np.ndarray, *, percentile: float = PERCENTILE, seed: int = 0
) -> Cover:
    """Who covers whom: those less than t apart, and those with equal features even if t is 0.

    Memory is that of the covered places, about `percentile` in a hundred of q p. Where q p is above 2^28, a random sample
    of the pool stands for it, and demonstrations outside of it cover nothing.

    Args:
        questions, pool: features (q, d) and (p, d), of one kind.
        percentile: of the distances, which t is.
        seed: draws the samples.

    Raises:
        BadInput: no question or an empty pool, or features that are not of one kind.
    """
    from scipy.sparse import csr_array

    if len(questions) == 0:
        raise BadInput("no questions: there is nothing to match; give at least one pair")
    if len(pool) == 0:
        raise BadInput("the pool of demonstrations is empty; give at least one pair to label")
    if questions.shape[1] != pool.shape[1]:
        raise BadInput(
            f"questions have {questions.shape[1]} features and demonstrations {pool.shape[1]}; compare the same attributes"
        )
    looked_at = np.arange(len(pool))
    if len(questions) * len(pool) > MAX_COVERED:
        most = max(1, MAX_COVERED // len(questions))
        chosen = seeds.generator(seed, "match", "pool").choice(len(pool), most, replace=False)
        looked_at = np.sort(chosen)
    threshold = percentiles(questions, pool[looked_at], [percentile], seed=seed)[0]
    columns, counts, near = [], [], []
    for _, block in distance_chunks(questions, pool[looked_at]):
        covered = (block < threshold) | (block == 0.0)
        columns.append(np.nonzero(covered)[1].astype(np.int32))
        counts.append(covered.sum(axis=1))
        near.append(np.argmin(block, axis=1))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    places = looked_at[np.concatenate(columns)]
    matrix = csr_array((np.ones(len(places), dtype=bool), places, starts), shape=(len(questions), len(pool)))
    return Cover(threshold, matrix, looked_at[np.concatenate(near)])


def greedy_cover(matrix: Any, weights: np.ndarray | None = None, limit: int | None = None) -> np.ndarray:
    """Columns that together cover every row that any column covers, chosen greedily.

    Each step takes the column that covers the most rows which none has covered yet, per weight; of equals the first.

    Args:
        matrix: scipy sparse or array, bool (n, m).
        weights: cost of each column, above 0, (m,); 1 each by default.
        limit: stop after so many columns.

    Returns:
        The columns in the order of their choice, int64; fewer than cover everything if the limit says so.
    """
    from scipy.sparse import csc_array, csr_array

    by_row, by_column = csr_array(matrix), csc_array(matrix)
    gains = np.diff(by_column.indptr).astype(np.int64)
    costs = np.ones(len(gains)) if weights is None else np.asarray(weights, dtype=np.float64)
    open_rows = np.ones(by_row.shape[0], dtype=bool)
    chosen: list[int] = []
    while gains.any() and (limit is None or len(chosen) < limit):
        best = int(np.argmax(gains / costs))
        chosen.append(best)
        rows = by_column.indices[by_column.indptr[best] : by_column.indptr[best + 1]]
        rows = rows[open_rows[rows]]
        open_rows[rows] = False
        gone = [by_row.indices[by_row.indptr[row] : by_row.indptr[row + 1]] for row in rows.tolist()]
        gains -= np.bincount(np.concatenate(gone), minlength=len(gains))
    return np.array(chosen, dtype=np.int64)
