"""The embedded matcher: it learns from few labels, says what it does without, and gives the same twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.match.matcher import fit_matcher
from tasks.records import BadInput

MEANS = arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1)).map(lambda column: column[:, None])


def made(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of which a tenth match: alike in two of three similarities, of which the third tells nothing."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 10 == 0).astype(int)
    telling = np.clip(0.35 + 0.35 * labels[:, None] + 0.12 * random.normal(size=(count, 2)), 0, 1)
    return np.hstack([telling, random.random((count, 1))]), labels


@pytest.mark.parametrize("count", [20, 40])
def test_few_labels_are_enough_for_an_easy_task(count: int) -> None:
    matcher = fit_matcher(*made(count, 0))
    features, labels = made(1000, 1)
    decided = matcher.probabilities(features) >= 0.5
    assert (decided == labels).mean() > 0.95


def test_the_same_labels_and_seed_give_the_same_probabilities() -> None:
    features, labels = made(40, 0)
    first, again, other = (
        fit_matcher(features, labels, seed=seed).probabilities(features) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(MEANS)
def test_with_non_matches_only_what_is_more_alike_than_all_of_them_is_a_match(features: np.ndarray) -> None:
    matcher = fit_matcher(features, np.zeros(len(features)))
    assert not matcher.learnt
    assert (matcher.probabilities(features) < 0.5).all()
    if features.max() < 0.99:
        assert matcher.probabilities(np.array([[features.max() + 0.01]])) > 0.5


@given(MEANS)
def test_with_matches_only_what_is_as_alike_as_the_least_of_them_is_a_match(features: np.ndarray) -> None:
    matcher = fit_matcher(features, np.ones(len(features)))
    assert not matcher.learnt
    assert (matcher.probabilities(features) >= 0.5).all()
    if features.min() > 0.01:
        assert matcher.probabilities(np.array([[features.min() - 0.01]])) < 0.5


def test_without_labels_the_mean_similarity_is_the_probability() -> None:
    matcher = fit_matcher(np.zeros((0, 2)), np.zeros(0))
    features = np.array([[0.0, 0.0], [0.5, 0.1], [1.0, 1.0]])
    assert matcher.probabilities(features) == pytest.approx([0.0, 0.3, 1.0])


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_still_order_pairs_by_likeness(label: int) -> None:
    matcher = fit_matcher(np.array([[0.2], [0.6]]), np.full(2, label))
    found = matcher.probabilities(np.linspace(0, 1, 21)[:, None])
    assert (np.diff(found) > 0).all()
    assert 0 <= found[0] < found[-1] <= 1


def test_no_pairs_have_no_probabilities() -> None:
    assert fit_matcher(*made(20, 0)).probabilities(np.zeros((0, 3))).shape == (0,)


def test_a_label_too_few_is_one_line() -> None:
    with pytest.raises(BadInput, match="matcher: 1 labels for 2 pairs"):
        fit_matcher(np.zeros((2, 1)), np.zeros(1))
