"""Selections of demonstrations: what each promises, checked against all distances at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from tasks.match.batching import make_batches
from tasks.match.cover import cover_of, greedy_cover
from tasks.match.demonstrations import (
    ALL,
    COVERING,
    FIXED,
    SELECTIONS,
    TOPK_BATCH,
    TOPK_QUESTION,
    select_demonstrations,
)
from tasks.records import BadInput

RANDOM = np.random.default_rng(0)
QUESTIONS, POOL = RANDOM.random((50, 3)), RANDOM.random((120, 3))
BATCHES = make_batches("random", np.zeros(50))
DISTANCE = cdist(QUESTIONS, POOL)

VALUES = st.sampled_from([0.0, 0.3, 0.7, 1.0])
SETS = st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(
    lambda sizes: st.tuples(*[arrays(np.float64, (size, 2), elements=VALUES) for size in sizes])
)


@settings(deadline=None)
@given(st.sampled_from(SELECTIONS), SETS, st.integers(1, 9), st.one_of(st.none(), st.integers(1, 4)))
def test_what_goes_with_a_batch_is_labelled_and_no_batch_goes_without(
    strategy: str, sets: tuple[np.ndarray, np.ndarray], size: int, budget: int | None
) -> None:
    questions, pool = sets
    batches = make_batches("random", np.zeros(len(questions)), size)
    found = select_demonstrations(strategy, questions, pool, batches, budget=budget)
    labelled = found.labelled.tolist()
    assert len(set(labelled)) == len(labelled)
    assert set(labelled) <= set(range(len(pool)))
    assert len(found.batches) == len(batches)
    for rows in found.batches:
        assert 0 < len(rows) == len(set(rows))
        assert [row for row in labelled if row in set(rows)] == rows.tolist()
    if budget is not None and strategy in (COVERING, ALL):
        assert len(labelled) <= budget


@settings(deadline=None)
@given(SETS, st.integers(1, 9))
def test_covering_covers_every_question_but_those_beyond_the_pool(
    sets: tuple[np.ndarray, np.ndarray], size: int
) -> None:
    questions, pool = sets
    batches = make_batches("random", np.zeros(len(questions)), size)
    for strategy in (COVERING, ALL):
        found = select_demonstrations(strategy, questions, pool, batches)
        assert found.uncovered.tolist() == found.beyond.tolist()


def test_a_question_that_nothing_covers_gets_its_nearest_demonstration_which_is_labelled_for_it() -> None:
    pool = np.linspace(0, 1, 100)[:, None]
    questions = np.array([[0.1], [0.2], [9.0], [0.3]])
    batches = [np.array([0, 1]), np.array([2, 3])]
    found = select_demonstrations(COVERING, questions, pool, batches, percentile=4)
    assert found.beyond.tolist() == found.uncovered.tolist() == [2]
    assert found.fallback == 1
    assert 99 in found.batches[1]
    assert 99 not in found.batches[0]
    assert len(found.labelled) == 1 + len(greedy_cover(cover_of(questions, pool, percentile=4).matrix))


def test_both_stages_of_covering_are_greedy_covers() -> None:
    weights = 1.0 + np.arange(120) % 7
    found = select_demonstrations(COVERING, QUESTIONS, POOL, BATCHES, weights=weights)
    near = np.percentile(DISTANCE, 8) > DISTANCE
    assert found.labelled.tolist()[: len(found.labelled) - found.fallback] == greedy_cover(near).tolist()
    for rows, shown in zip(BATCHES, found.batches, strict=True):
        own = near[rows][:, found.labelled]
        cheapest = found.labelled[greedy_cover(own, weights[found.labelled])]
        assert set(cheapest) <= set(shown)
        assert len(shown) - len(cheapest) <= (~own.any(axis=1)).sum()


def test_the_weights_decide_which_demonstration_covers_a_batch() -> None:
    """Two labelled ones cover question 0: the cheaper is shown."""
    questions = np.array([[0.0], [-0.9], [0.9]])
    pool = np.array([[-0.5], [0.5], [30.0], [40.0], [50.0], [60.0]])
    batches = [np.array([0]), np.array([1, 2])]
    chosen = [
        select_demonstrations(
            COVERING, questions, pool, batches, percentile=20, weights=np.array([*weights, 1, 1, 1, 1])
        ).batches[0]
        for weights in ((1.0, 2.0), (2.0, 1.0))
    ]
    assert [one.tolist() for one in chosen] == [[0], [1]]


def test_a_budget_bounds_the_labels_and_the_rest_gets_the_nearest_of_them() -> None:
    found = select_demonstrations(COVERING, QUESTIONS, POOL, BATCHES, budget=3)
    whole = select_demonstrations(COVERING, QUESTIONS, POOL, BATCHES)
    assert found.labelled.tolist() == whole.labelled[:3].tolist()
    assert len(found.uncovered) > len(found.beyond)
    of = {int(row): at for at, rows in enumerate(BATCHES) for row in rows}
    for row in found.uncovered.tolist():
        assert found.labelled[DISTANCE[row, found.labelled].argmin()] in found.batches[of[row]]


def test_fixed_is_the_same_eight_for_all_and_the_seed_draws_them() -> None:
    found = select_demonstrations(FIXED, QUESTIONS, POOL, BATCHES, seed=1)
    assert len(found.labelled) == 8
    assert all(rows.tolist() == found.labelled.tolist() for rows in found.batches)
    other = select_demonstrations(FIXED, QUESTIONS, POOL, BATCHES, seed=2)
    assert found.labelled.tolist() != other.labelled.tolist()


def test_top_k_per_batch_are_the_nearest_to_any_of_its_questions() -> None:
    found = select_demonstrations(TOPK_BATCH, QUESTIONS, POOL, BATCHES, count=5)
    for rows, shown in zip(BATCHES, found.batches, strict=True):
        assert set(shown) == set(np.argsort(DISTANCE[rows].min(axis=0))[:5])


@pytest.mark.parametrize("count", [1, 3])
def test_top_k_per_question_are_the_nearest_to_each_question(count: int) -> None:
    found = select_demonstrations(TOPK_QUESTION, QUESTIONS, POOL, BATCHES, count=count)
    for rows, shown in zip(BATCHES, found.batches, strict=True):
        assert set(shown) == set(np.argsort(DISTANCE[rows], axis=1)[:, :count].ravel())


def test_all_shows_every_batch_what_covering_labels() -> None:
    found = select_demonstrations(ALL, QUESTIONS, POOL, BATCHES)
    covering = select_demonstrations(COVERING, QUESTIONS, POOL, BATCHES)
    assert found.labelled.tolist() == covering.labelled.tolist()
    assert all(rows.tolist() == found.labelled.tolist() for rows in found.batches)


def test_uncovered_are_the_questions_beyond_the_threshold_of_what_is_shown() -> None:
    found = select_demonstrations(FIXED, QUESTIONS, POOL, BATCHES)
    near = DISTANCE[:, found.labelled].min(axis=1) < found.threshold
    assert found.uncovered.tolist() == np.flatnonzero(~near).tolist()
    assert 0 < len(found.uncovered) < 50


def test_one_question_and_a_pool_of_one_are_enough() -> None:
    for strategy in SELECTIONS:
        found = select_demonstrations(strategy, np.zeros((1, 2)), np.ones((1, 2)), [np.array([0])])
        assert (found.labelled.tolist(), found.batches[0].tolist()) == ([0], [0]), strategy


def test_what_cannot_be_selected_is_one_line() -> None:
    def select(strategy: str = FIXED, pool: np.ndarray = POOL, **given: object) -> None:
        select_demonstrations(strategy, QUESTIONS, pool, BATCHES, **given)  # type: ignore[arg-type]

    with pytest.raises(BadInput, match="demonstrations best: unknown; give one of fixed, topk-batch"):
        select("best")
    with pytest.raises(BadInput, match="the pool of demonstrations is empty"):
        select(pool=np.zeros((0, 3)))
    with pytest.raises(BadInput, match="budget below 1"):
        select(COVERING, budget=0)
    with pytest.raises(BadInput, match="one weight above 0"):
        select(COVERING, weights=np.zeros(120))
