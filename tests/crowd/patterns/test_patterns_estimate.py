"""How sure a rule is, against scipy, sampling, and what must hold of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tasks.crowd.patterns.estimate import (
    Belief,
    Prior,
    above,
    belief_of,
    discovery_reduction,
    error_after,
    expected_reduction,
    p_rare,
    p_significant,
    pooled,
    quadrant,
)

RANDOM = np.random.default_rng(0)
THRESHOLDS = np.array([0.2, 0.5])
PRIOR = Prior(np.stack([THRESHOLDS, [0.4, 0.7]]), np.array([[0.04, 0.01], [0.01, 0.09]]))


def beliefs(count: int) -> Belief:
    root = RANDOM.normal(0, 0.2, (count, 2, 2)) + 0.15 * np.eye(2)
    return Belief(RANDOM.random((count, 2)), root @ root.transpose(0, 2, 1), RANDOM.uniform(1, 20, count))


def test_the_quadrant_is_scipys() -> None:
    h, k = RANDOM.normal(0, 2, (2, 300))
    rho = RANDOM.uniform(-0.99, 0.99, 300)
    one_by_one = [
        multivariate_normal.cdf([x, y], cov=[[1, r], [r, 1]]) for x, y, r in zip(h, k, rho, strict=True)
    ]
    assert quadrant(h, k, rho) == pytest.approx(np.array(one_by_one), abs=1e-9)


def test_the_quadrant_at_zero_and_far_away() -> None:
    zero, rho = np.zeros(3), np.array([0.0, 0.5, -0.5])
    assert quadrant(zero, zero, rho) == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi))
    far = np.array([40.0, 40.0, -40.0])
    assert quadrant(far, np.array([0.0, 40.0, 1.0]), np.zeros(3)) == pytest.approx([0.5, 1, 0])


def test_above_is_the_share_of_samples_above() -> None:
    belief = beliefs(5)
    for mean, covariance in zip(belief.mean, belief.covariance, strict=True):
        drawn = RANDOM.multivariate_normal(mean, covariance, 40_000)
        share = (drawn >= THRESHOLDS).all(axis=1).mean()
        assert float(above(mean, covariance, THRESHOLDS)) == pytest.approx(share, abs=0.01)


def test_the_belief_is_that_of_the_answers_and_the_prior() -> None:
    answers = RANDOM.random((30, 2))
    sums = np.array([30]), answers.sum(axis=0)[None], (answers.T @ answers)[None]
    weak = Prior(PRIOR.mean, PRIOR.covariance, weight=1e-9, degrees=1e-9)
    found = belief_of(*sums, np.array([0]), weak)
    assert found.mean[0] == pytest.approx(answers.mean(axis=0))
    assert found.covariance[0] == pytest.approx(np.cov(answers.T, bias=True))
    none = belief_of(np.zeros(2, int), np.zeros((2, 2)), np.zeros((2, 2, 2)), np.array([0, 1]), PRIOR)
    assert none.mean == pytest.approx(PRIOR.mean)
    assert none.covariance == pytest.approx(np.stack([PRIOR.covariance] * 2))


def test_the_prior_is_learned_by_group() -> None:
    centre = np.array([[0.1, 0.3], [0.5, 0.8]])
    spread = np.array([[0.02, 0.005], [0.005, 0.03]])
    group = np.arange(400) % 2
    answers = np.stack([RANDOM.multivariate_normal(centre[one], spread, 5) for one in group])
    sums = np.full(400, 5), answers.sum(axis=1), np.einsum("rni,rnj->rij", answers, answers)
    found = pooled(*sums, group, PRIOR, strength=1e-6)
    assert found.mean == pytest.approx(centre, abs=0.03)
    assert found.covariance == pytest.approx(spread, abs=0.003)
    assert pooled(*(0 * one for one in sums), group, PRIOR).mean == pytest.approx(PRIOR.mean)


def test_the_error_after_answers_is_that_of_answers_drawn() -> None:
    belief = beliefs(6)
    expected = error_after(belief, THRESHOLDS, (1, 4))
    for number, ahead in enumerate((1, 4)):
        for rule in range(6):
            mean, covariance, weight = belief.mean[rule], belief.covariance[rule], belief.weight[rule]
            # The mean as it is drawn, and answers around it: what is known then, and how wrong it is.
            true = RANDOM.multivariate_normal(mean, covariance / weight, 4000)
            heard = true + RANDOM.multivariate_normal([0, 0], covariance / ahead, 4000)
            after = (weight * mean + ahead * heard) / (weight + ahead)
            p = above(after, covariance / (weight + ahead), THRESHOLDS)
            assert np.minimum(p, 1 - p).mean() == pytest.approx(expected[number, rule], abs=0.03)
            # On average the probability stays what it was.
            assert p.mean() == pytest.approx(p_significant(belief, THRESHOLDS)[rule], abs=0.03)


def test_answers_help_where_it_is_open_and_not_where_it_is_settled() -> None:
    covariance = np.stack([PRIOR.covariance] * 3)
    mean = np.array([[0.2, 0.5], [0.9, 0.95], [0.2, 0.5]])
    gain = expected_reduction(Belief(mean, covariance, np.array([5.0, 5.0, 500.0])), THRESHOLDS)
    assert gain[0] > 20 * gain[1]
    assert gain[0] > 20 * gain[2] > 0
    assert (expected_reduction(beliefs(200), THRESHOLDS) >= 0).all()


def test_several_answers_can_turn_what_one_cannot() -> None:
    belief = Belief(np.array([[0.14, 0.8]]), 0.01 * np.eye(2)[None], np.array([9.0]))
    alone, several = (expected_reduction(belief, THRESHOLDS, ahead) for ahead in ((1,), (1, 8)))
    assert alone < 0.5 * several


def test_finding_a_rule_is_worth_no_more_than_its_being_significant() -> None:
    belief = beliefs(100)
    found = discovery_reduction(belief, THRESHOLDS)
    assert (found <= p_significant(belief, THRESHOLDS) + 1e-12).all()
    sure = Belief(np.array([[0.9, 0.95]]), 1e-4 * np.eye(2)[None], np.array([10.0]))
    assert discovery_reduction(sure, THRESHOLDS) == pytest.approx(1)


def test_a_rare_rule_is_surely_rare() -> None:
    belief = Belief(
        np.array([[0.05, 0.9], [0.2, 0.9]]), np.stack([0.01 * np.eye(2)] * 2), np.array([25.0, 9.0])
    )
    assert p_rare(belief, 0.2) == pytest.approx([1, 0.5], abs=0.01)
