"""Which pairs of an unlabelled pool are labelled, and which of them go with each batch of questions.

BATCHER's demonstration selection (arXiv 2312.03987, section V), and beside it one prefix shared by all prompts, which
servers cache. All labels are paid for once, all tokens with every prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.match.cover import PERCENTILE, Cover, cover_of, greedy_cover
from tasks.match.distances import distance_chunks, nearest
from tasks.records import BadInput
from tasks.run import seeds

FIXED, TOPK_BATCH, TOPK_QUESTION, COVERING, ALL = "fixed", "topk-batch", "topk-question", "covering", "all"
SELECTIONS = (FIXED, TOPK_BATCH, TOPK_QUESTION, COVERING, ALL)

COUNT = 8  # of fixed and of top-k per batch, as the authors'


@dataclass(frozen=True, slots=True)
class Selection:
    """Demonstrations for q questions in batches.

    Args:
        labelled: rows of the pool to label, int64, each once.
        batches: rows of the pool that go with each batch, in the order of `labelled` so that prompts begin alike; a
            subset of it.
        uncovered: rows of the questions that no demonstration of their batch covers.
        beyond: rows of the questions that no demonstration of the whole pool covers; part of `uncovered`.
        fallback: how many of `labelled` are there only for being the nearest to a question of `beyond`.
        threshold: the distance below which a demonstration covers a question.
    """

    labelled: np.ndarray
    batches: list[np.ndarray]
    uncovered: np.ndarray
    beyond: np.ndarray
    fallback: int
    threshold: float


def select_demonstrations(
    strategy: str,
    questions: np.ndarray,
    pool: np.ndarray,
    batches: Sequence[np.ndarray],
    *,
    weights: np.ndarray | None = None,
    count: int | None = None,
    budget: int | None = None,
    percentile: float = PERCENTILE,
    cover: Cover | None = None,
    seed: int = 0,
) -> Selection:
    """Chooses demonstrations for batches of questions.

    - fixed: `count` (8) random ones for all batches.
    - topk-batch: for each batch the `count` (8) nearest to any of its questions.
    - topk-question: the `count` (1) nearest to each question of the batch.
    - covering: a greedy cover of all questions is labelled; of these, each batch gets the greedy cover of its questions by
      the weights. A question that nothing covers gets its nearest demonstration.
    - all: what covering labels, all of it with every batch.

    Args:
        strategy: of SELECTIONS.
        questions, pool: features (q, d) and (p, d).
        batches: rows of questions.
        weights: cost of showing each demonstration, such as its tokens, above 0, (p,); 1 each by default.
        count: see above.
        budget: covering and all label at most so many; then a question that none of them covers gets the nearest of them.
        percentile: of the distances, which the threshold is.
        cover: of these questions and this pool, if it is known already.
        seed: draws the fixed ones, and samples where there is very much.

    Raises:
        BadInput: an unknown strategy, no question, an empty pool, or a count, budget or weight that is not above 0.
    """
    if strategy not in SELECTIONS:
        raise BadInput(f"demonstrations {strategy}: unknown; give one of {', '.join(SELECTIONS)}")
    if (count is not None and count < 1) or (budget is not None and budget < 1):
        raise BadInput("demonstrations: a count or label budget below 1; give at least 1")
    weights = np.ones(len(pool)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(pool),) or not (weights > 0).all():
        raise BadInput("demonstrations: give one weight above 0 for every pair of the pool")
    cover = cover or cover_of(questions, pool, percentile=percentile, seed=seed)
    fallback = 0
    if strategy == FIXED:
        drawn = seeds.generator(seed, "match", "fixed").permutation(len(pool))[: count or COUNT]
        labelled, given = np.sort(drawn), [np.sort(drawn) for _ in batches]
    elif strategy == TOPK_BATCH:
        given = [_nearest_to_any(questions[rows], pool, count or COUNT) for rows in batches]
        labelled = _most_used(given)
    elif strategy == TOPK_QUESTION:
        own = nearest(questions, pool, count or 1)
        given = [np.unique(own[rows]) for rows in batches]
        labelled = _most_used(given)
    else:
        labelled, fallback = _to_label(cover, budget)
        if strategy == ALL:
            given = [labelled for _ in batches]
        else:
            near = labelled[nearest(questions, pool[labelled])[:, 0]]
            given = [_cheapest_cover(cover, rows, labelled, weights, near) for rows in batches]
    place = np.zeros(len(pool), dtype=np.int64)
    place[labelled] = np.arange(len(labelled))
    given = [rows[np.argsort(place[rows])] for rows in given]
    return Selection(
        labelled, given, _uncovered(cover, batches, given), cover.beyond, fallback, cover.threshold
    )


def _to_label(cover: Cover, budget: int | None) -> tuple[np.ndarray, int]:
    """The greedy cover, then what is nearest to the questions beyond it, as far as the budget goes."""
    chosen = greedy_cover(cover.matrix, limit=budget)
    extra = np.setdiff1d(cover.nearest[cover.beyond], chosen)
    if budget is not None:
        extra = extra[: budget - len(chosen)]
    return np.concatenate([chosen, extra]), len(extra)


def _cheapest_cover(
    cover: Cover, rows: np.ndarray, labelled: np.ndarray, weights: np.ndarray, near: np.ndarray
) -> np.ndarray:
    """A batch's greedy cover out of the labelled, and the nearest of them to each question that none of them covers."""
    covered = cover.matrix[rows].toarray()[:, labelled]
    chosen = labelled[greedy_cover(covered, weights[labelled])]
    return np.union1d(chosen, near[rows[~covered.any(axis=1)]])


def _nearest_to_any(questions: np.ndarray, pool: np.ndarray, count: int) -> np.ndarray:
    distance = np.full(len(pool), np.inf)
    for _, block in distance_chunks(questions, pool):
        np.minimum(distance, block.min(axis=0), out=distance)
    return np.argsort(distance, kind="stable")[:count].astype(np.int64)


def _most_used(given: Sequence[np.ndarray]) -> np.ndarray:
    """What any batch has, the most used first: what many prompts have in common then stands at their beginning."""
    rows, uses = np.unique(np.concatenate(given), return_counts=True)
    return rows[np.lexsort((rows, -uses))]


def _uncovered(cover: Cover, batches: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> np.ndarray:
    found = []
    for rows, shown in zip(batches, given, strict=True):
        covered = cover.matrix[rows].toarray()[:, shown].any(axis=1)
        found.append(rows[~covered])
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
