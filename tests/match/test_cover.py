"""Who covers whom, and the greedy cover against the exact one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.spatial.distance import cdist

from tasks.match import cover as module
from tasks.match.cover import cover_of, greedy_cover
from tasks.records import BadInput

MATRICES = st.tuples(st.integers(1, 10), st.integers(1, 10)).flatmap(lambda shape: arrays(np.bool_, shape))


def exact_cost(matrix: np.ndarray, weights: np.ndarray) -> float:
    """Of the cheapest columns that cover all rows which any covers."""
    rows = matrix[matrix.any(axis=1)].astype(float)
    if not len(rows):
        return 0.0
    found = milp(
        weights,
        constraints=LinearConstraint(rows, lb=1),
        bounds=Bounds(0, 1),
        integrality=np.ones(len(weights)),
    )
    return float(found.fun)


def slow_greedy(matrix: np.ndarray, weights: np.ndarray) -> list[int]:
    """The definition, read aloud."""
    left, chosen = matrix.any(axis=1), []
    while left.any():
        chosen.append(int(np.argmax(matrix[left].sum(axis=0) / weights)))
        left &= ~matrix[:, chosen[-1]]
    return chosen


@settings(deadline=None)
@given(MATRICES)
def test_a_greedy_cover_covers_all_that_can_be_and_costs_at_most_chvatals_bound(matrix: np.ndarray) -> None:
    weights = 1.0 + np.arange(matrix.shape[1]) % 3
    chosen = greedy_cover(matrix, weights)
    assert np.array_equal(matrix[:, chosen].any(axis=1), matrix.any(axis=1))
    largest = matrix.sum(axis=0).max()
    bound = (1.0 / np.arange(1, largest + 1)).sum()
    assert weights[chosen].sum() <= bound * exact_cost(matrix, weights) + 1e-9


@settings(deadline=None)
@given(MATRICES)
def test_each_step_takes_what_covers_the_most_per_weight(matrix: np.ndarray) -> None:
    weights = 1.0 + np.arange(matrix.shape[1]) % 3
    assert greedy_cover(matrix, weights).tolist() == slow_greedy(matrix, weights)


def test_a_cheap_pair_of_columns_is_taken_before_a_dear_one() -> None:
    matrix = np.array([[1, 1, 0], [1, 0, 1]], dtype=bool)
    assert greedy_cover(matrix).tolist() == [0]
    assert greedy_cover(matrix, np.array([9.0, 1.0, 1.0])).tolist() == [1, 2]


def test_a_limit_stops_the_cover() -> None:
    assert greedy_cover(np.eye(5, dtype=bool), limit=2).tolist() == [0, 1]


def test_a_demonstration_covers_what_is_nearer_than_the_percentile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.match.distances._CHUNK", 200)
    random = np.random.default_rng(1)
    questions, pool = random.random((40, 3)), random.random((70, 3))
    cover = cover_of(questions, pool)
    distance = cdist(questions, pool)
    assert cover.threshold == pytest.approx(np.percentile(distance, 8))
    assert np.array_equal(cover.matrix.toarray(), distance < cover.threshold)
    assert np.array_equal(cover.nearest, distance.argmin(axis=1))
    assert np.array_equal(cover.beyond, np.flatnonzero(distance.min(axis=1) >= cover.threshold))


def test_equal_features_cover_each_other_even_at_a_threshold_of_zero() -> None:
    cover = cover_of(np.ones((3, 2)), np.ones((2, 2)))
    assert (cover.threshold, cover.matrix.toarray().all(), len(cover.beyond)) == (0.0, True, 0)


def test_of_too_large_a_pool_a_sample_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COVERED", 1000)
    random = np.random.default_rng(2)
    questions, pool = random.random((20, 2)), random.random((500, 2))
    cover = cover_of(questions, pool)
    assert cover.matrix.shape == (20, 500)
    assert len(np.unique(cover.matrix.indices)) <= 50
    distance = cdist(questions, pool)
    assert all(
        distance[row, column] < cover.threshold
        for row, column in zip(*cover.matrix.toarray().nonzero(), strict=True)
    )


def test_nothing_to_cover_or_nothing_to_cover_with_is_one_line() -> None:
    with pytest.raises(BadInput, match="the pool of demonstrations is empty"):
        cover_of(np.zeros((2, 1)), np.zeros((0, 1)))
    with pytest.raises(BadInput, match="no questions"):
        cover_of(np.zeros((0, 1)), np.zeros((2, 1)))
    with pytest.raises(BadInput, match="questions have 1 features and demonstrations 2"):
        cover_of(np.zeros((2, 1)), np.zeros((2, 2)))
