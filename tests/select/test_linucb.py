"""LinUCB: the regression against scikit-learn and by hand, what is learnt from documents, and what is not tried twice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.linear_model import Ridge

from tasks.select.arms import Arms
from tasks.select.linucb import _NOISE, LinUCB, regress, standardised


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_regression_is_ridge_with_the_likeliest_prior_and_noise() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5))
    values = features @ np.array([0.5, -0.3, 0.0, 0.2, 0.0]) + 0.5 * random.normal(size=60)
    scales = [np.full(5, scale) for scale in (0.05, 0.3, 3.0)]
    found = regress(features, values, scales)

    def likelihood(scale: np.ndarray, noise: float) -> float:
        covariance = (features * scale**2) @ features.T + noise * np.eye(60)
        return float(multivariate_normal(np.zeros(60), covariance).logpdf(values)) + 30 * np.log(2 * np.pi)

    tried = {(i, noise): likelihood(scale, noise) for i, scale in enumerate(scales) for noise in _NOISE}
    (best, noise), evidence = max(tried.items(), key=lambda one: one[1])
    assert found.evidence == pytest.approx(evidence)
    ridge = Ridge(alpha=noise / scales[best][0] ** 2, fit_intercept=False).fit(features, values)
    assert found.mean == pytest.approx(ridge.coef_)
    precision = features.T @ features / noise + np.diag(scales[best] ** -2.0)
    assert found.covariance == pytest.approx(np.linalg.inv(precision))
    mean, deviation = found.predict(features[:3])
    assert mean == pytest.approx(features[:3] @ ridge.coef_)
    assert deviation**2 == pytest.approx(
        np.einsum("nd,de,ne->n", features[:3], found.covariance, features[:3])
    )


@pytest.fixture
def sites() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of 300 documents on three sites, how near they look to the target, and what their pairs are worth.

    Those of the first site look best and give nothing; those of the second look nearly as good and give much.
    """
    random = np.random.default_rng(1)
    site = np.repeat([0, 1, 2], 100)
    vectors = unit(np.eye(12)[site] + 0.25 * random.normal(size=(300, 12)))
    looks = np.array([1.0, 0.8, 0.0])[site] + 0.3 * random.normal(size=300)
    gains = np.where(site == 1, 1.0, 0.0) * random.random(300)
    return vectors, looks, gains


def test_what_is_expected_of_an_arm_is_the_mean_of_what_is_expected_of_its_documents(
    sites: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    vectors, looks, gains = sites
    labels = np.repeat([0, 1, 2], 100)
    order = np.random.default_rng(2).permutation(300)
    strategy = LinUCB("linucb", Arms(labels, order), standardised([looks]), vectors)
    assert strategy.expected()[0].tolist() == [0.0] * 3
    strategy.observe(order[:60], gains[order[:60]])
    mean, deviation = strategy.expected()
    documents = strategy._bound()[0]
    assert mean == pytest.approx([documents[labels == arm].mean() for arm in range(3)])
    truth = np.array([gains[labels == arm].mean() for arm in range(3)])
    assert (np.abs(mean - truth) < 4 * deviation).all()
    # An arm's mean is surer than any of its documents.
    assert deviation.max() < strategy._bound()[1].min()


def test_looks_that_deceive_are_seen_through(sites: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    vectors, looks, gains = sites
    order = np.random.default_rng(2).permutation(300)

    def total(learns: bool) -> float:
        strategy = LinUCB("linucb", Arms(np.zeros(300, dtype=int), order), standardised([looks]), vectors)
        read: list[int] = []
        for _ in range(6):
            read += [row for pull in strategy.choose(15, 15) for row in pull.rows.tolist()]
            if learns:
                strategy.observe(np.array(read), gains[read])
        return float(gains[read].sum())

    assert total(learns=True) > 1.5 * total(learns=False)
    assert total(learns=True) > 0.5 * np.sort(gains)[-90:].sum()


def test_before_anything_is_known_documents_come_by_their_free_scores() -> None:
    free = standardised([np.array([1.0, 5.0, 3.0, 2.0]), np.array([0.0, 1.0, 9.0, 0.0])])
    strategy = LinUCB("linucb", Arms(np.array([0, 0, 1, 1]), np.arange(4)), free, unit(np.eye(4)))
    assert [(pull.arm, pull.rows.tolist(), pull.bonus) for pull in strategy.choose(2, 1)] == [
        (1, [2], 0.0),
        (0, [1], 0.0),
    ]


def test_what_is_uncertain_is_worth_more_than_what_is_known_to_be_as_good() -> None:
    """Two documents of one kind were read; of two left, equal but for that, the one of another kind has the bonus."""
    vectors = unit(np.array([[1, 0.1, 0], [1, 0, 0.1], [1, 0.1, 0.1], [0, 0, 1.0]]))
    strategy = LinUCB("linucb", Arms(np.zeros(4, dtype=int), np.arange(4)), np.zeros((4, 1)), vectors)
    strategy.mark_read([0, 1])
    strategy.observe(np.array([0, 1]), np.array([0.4, 0.6]))
    known, unknown = strategy._bound()[1][[2, 3]]
    assert unknown > known > 0


def test_scores_are_standardised_without_their_lower_tail() -> None:
    scores = np.concatenate([[-1e6], np.linspace(0, 1, 499)])
    found = standardised([scores, np.zeros(500)])
    assert found.shape == (500, 2)
    assert found[:, 0].mean() == pytest.approx(0)
    assert found[:, 0].std() == pytest.approx(1)
    assert found[0, 0] > -2  # cut off where the lowest hundredth ends
    assert found[:, 1].tolist() == [0.0] * 500
