"""Samples: intervals against another library and against what they promise, sizes against the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, hypergeom

from tasks.crowd.cost.sampling import (
    allocation,
    proportion,
    sample_size,
    strata_by_score,
    stratified,
    stratified_size,
)
from tasks.records import BadInput


@pytest.mark.parametrize(("positive", "asked"), [(0, 10), (3, 50), (25, 50), (50, 50)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilsons_interval_is_that_of_scipy(positive: int, asked: int, confidence: float) -> None:
    found = proportion(positive, asked, confidence)
    theirs = binomtest(positive, asked).proportion_ci(confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_asking_everything_leaves_no_doubt_and_asking_half_less_than_a_sample_of_many() -> None:
    assert proportion(30, 100, population=100).error == 0
    assert proportion(15, 50, population=100).error < 0.75 * proportion(15, 50).error


def test_the_interval_holds_the_share_as_often_as_it_says() -> None:
    """Samples of 80 out of 200, at every share: exact, because there are only 81 outcomes."""
    found = [proportion(hits, 80, 0.9, 200) for hits in range(81)]
    low, high = np.array([one.low for one in found]), np.array([one.high for one in found])
    covered = []
    for positive in range(2, 199):
        chance = hypergeom(200, positive, 80).pmf(np.arange(81))
        share = positive / 200
        covered.append(chance[(low <= share) & (share <= high)].sum())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.015)
    assert min(covered) > 0.8


def test_the_interval_of_strata_holds_the_share_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    sizes, positive = np.array([5000, 300, 100]), np.array([50, 150, 95])
    asked = stratified_size(sizes, positive / sizes, 0.02, 0.9)
    share = positive.sum() / sizes.sum()
    hits = random.hypergeometric(positive, sizes - positive, asked, (1000, 3))
    found = [stratified(sizes, asked, one, 0.9) for one in hits]
    assert np.mean([one.low <= share <= one.high for one in found]) >= 0.88
    assert np.mean([one.error for one in found]) < 0.025
    assert asked.sum() < 0.7 * sample_size(0.02, 0.9, share, int(sizes.sum()))


def test_sizes_are_those_of_the_textbook() -> None:
    assert sample_size(0.03) == pytest.approx(1067, abs=5)  # 1.96^2 / 4 / .03^2
    assert sample_size(0.03, population=1000) == pytest.approx(516, abs=3)
    assert sample_size(0.001, population=50) == 50
    assert proportion(0.5 * 1064, 1064).error <= 0.03 < proportion(0.5 * 1063, 1063).error
    with pytest.raises(BadInput, match="above 0 and below 1"):
        sample_size(0.0)


def test_strata_are_asked_by_size_and_spread() -> None:
    sizes = np.array([1000, 1000, 3, 10_000])
    asked = allocation(sizes, np.array([0.5, 0.01, 0.5, 0.0]), 500)
    assert asked.sum() == 500
    assert asked[0] > 2 * asked[1] > 0
    assert 2 <= asked[2] <= 3
    assert allocation(sizes, np.full(4, 0.5), 10**6).tolist() == sizes.tolist()
    scores = np.concatenate([np.zeros(70), np.linspace(0, 1, 30)])
    strata = strata_by_score(scores, 4)
    assert set(np.diff(strata[np.argsort(scores, kind="stable")])) <= {0, 1}
    assert np.bincount(strata)[0] >= 70  # equal scores stay together
