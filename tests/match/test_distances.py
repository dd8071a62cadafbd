"""Distances in chunks, against scipy and numpy on all of them at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from tasks.match import distances
from tasks.match.distances import distance_chunks, nearest, percentiles

# A few values only, so that many distances are equal.
FEATURES = st.integers(1, 3).flatmap(
    lambda d: st.tuples(
        *[
            arrays(
                np.float64, st.tuples(st.integers(1, 9), st.just(d)), elements=st.sampled_from([0, 0.5, 1])
            )
            for _ in range(2)
        ]
    )
)


@settings(deadline=None)
@given(FEATURES)
def test_percentiles_are_numpys(both: tuple[np.ndarray, np.ndarray]) -> None:
    wanted = [0.0, 1.0, 8.0, 50.0, 99.5, 100.0]
    assert percentiles(*both, wanted) == pytest.approx(np.percentile(cdist(*both), wanted).tolist())


def test_percentiles_of_many_values_are_exact_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_CHUNK", 700)
    random = np.random.default_rng(0)
    rows, columns = random.random((53, 4)), random.random((210, 4)) ** 3
    assert percentiles(rows, columns, [1, 8]) == pytest.approx(np.percentile(cdist(rows, columns), [1, 8]))


def test_of_too_many_distances_a_sample_is_taken_that_the_seed_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_MOST", 10_000)
    random = np.random.default_rng(0)
    rows, columns = random.random((300, 2)), random.random((2000, 2))
    (found,) = percentiles(rows, columns, [8], seed=1)
    assert found == pytest.approx(np.percentile(cdist(rows, columns), 8), rel=0.1)
    assert found == percentiles(rows, columns, [8], seed=1)[0]
    assert found != percentiles(rows, columns, [8], seed=2)[0]


def test_chunks_are_all_distances_and_no_chunk_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_CHUNK", 100)
    random = np.random.default_rng(0)
    rows, columns = random.random((25, 3)), random.random((30, 3))
    blocks = [block for _, block in distance_chunks(rows, columns)]
    assert np.array_equal(np.concatenate(blocks), cdist(rows, columns))
    assert max(block.size for block in blocks) <= 100


@settings(deadline=None)
@given(FEATURES, st.integers(1, 10))
def test_nearest_are_the_first_of_a_stable_order(both: tuple[np.ndarray, np.ndarray], count: int) -> None:
    expected = np.argsort(cdist(*both), axis=1, kind="stable")[:, :count]
    assert np.array_equal(nearest(*both, count), expected)
