"""Batches: every question once, and what each strategy promises, against what is possible at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.match.batching import BATCHINGS, DIVERSITY, RANDOM, SIMILARITY, cluster_questions, make_batches
from tasks.records import BadInput

CLUSTERS = st.lists(st.integers(0, 6), max_size=60).map(lambda labels: np.array(labels, dtype=np.int64))
SIZES = st.integers(1, 9)


@settings(deadline=None)
@given(st.sampled_from(BATCHINGS), CLUSTERS, SIZES, st.integers(0, 3))
def test_every_question_is_in_one_batch_and_only_the_last_is_short(
    strategy: str, clusters: np.ndarray, size: int, seed: int
) -> None:
    batches = make_batches(strategy, clusters, size, seed=seed)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(clusters)))
    lengths = [len(batch) for batch in batches]
    assert all(length == size for length in lengths[:-1])
    assert not lengths or 0 < lengths[-1] <= size


@settings(deadline=None)
@given(CLUSTERS, SIZES)
def test_diversity_makes_as_many_batches_of_different_clusters_as_there_can_be(
    clusters: np.ndarray, size: int
) -> None:
    """m such batches are possible exactly if the clusters, each used at most m times, fill them."""
    counts = np.bincount(clusters)
    possible = max(m for m in range(len(clusters) + 1) if np.minimum(counts, m).sum() >= m * size)
    batches = make_batches(DIVERSITY, clusters, size)
    assert sum(len(batch) == size == len(set(clusters[batch])) for batch in batches) == possible


@settings(deadline=None)
@given(CLUSTERS, SIZES)
def test_similarity_makes_as_many_batches_of_one_cluster_as_there_can_be(
    clusters: np.ndarray, size: int
) -> None:
    batches = make_batches(SIMILARITY, clusters, size)
    pure = sum(len(batch) == size and len(set(clusters[batch])) == 1 for batch in batches)
    assert pure >= (np.bincount(clusters) // size).sum()


@settings(deadline=None)
@given(CLUSTERS, SIZES)
def test_a_batch_repeats_a_cluster_only_when_all_others_are_used_up(clusters: np.ndarray, size: int) -> None:
    left = np.bincount(clusters)
    for batch in make_batches(DIVERSITY, clusters, size):
        used = np.bincount(clusters[batch], minlength=len(left))
        assert len(set(clusters[batch])) == min(len(batch), (left > 0).sum())
        left -= used


@pytest.mark.parametrize("strategy", BATCHINGS)
def test_the_seed_decides_and_nothing_else(strategy: str) -> None:
    clusters = np.arange(40) % 5
    first, again, other = (make_batches(strategy, clusters, seed=seed) for seed in (1, 1, 2))
    assert [one.tolist() for one in first] == [one.tolist() for one in again]
    assert [one.tolist() for one in first] != [one.tolist() for one in other]


def test_renaming_the_clusters_changes_nothing() -> None:
    clusters = np.random.default_rng(0).integers(5, size=40)
    for strategy in BATCHINGS:
        same = make_batches(strategy, (clusters + 3) % 5)
        assert [one.tolist() for one in make_batches(strategy, clusters)] == [one.tolist() for one in same]


def test_questions_that_are_alike_share_a_cluster() -> None:
    questions = np.array([[0.0], [0.001], [0.9], [0.901], [0.5]])
    pool = np.linspace(0, 1, 101)[:, None]
    labels = cluster_questions(questions, pool)
    assert labels.tolist() == [0, 0, 1, 1, 2]
    # With 3 in reach asked for, all of them are noise, each a cluster of its own.
    assert len(set(cluster_questions(questions, pool, min_samples=3).tolist())) == 5


def test_what_cannot_be_batched_is_one_line() -> None:
    with pytest.raises(BadInput, match="batching best: unknown; give one of random, similarity, diversity"):
        make_batches("best", np.zeros(3))
    with pytest.raises(BadInput, match="batch size 0"):
        make_batches(RANDOM, np.zeros(3), 0)
    with pytest.raises(BadInput, match="the pool of demonstrations is empty"):
        cluster_questions(np.zeros((2, 1)), np.zeros((0, 1)))
    assert cluster_questions(np.zeros((0, 1)), np.zeros((0, 1))).tolist() == []
