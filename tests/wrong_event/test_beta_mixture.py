"""The mixture against a direct maximum-likelihood fit, and what it makes of rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tasks.wrong_event import beta_mixture
from tasks.wrong_event.beta_mixture import HALF, SETTLED_ITERATIONS, BetaMixture, EventModel, scaled
from tests.wrong_event.mixtures import SIMULATED, drawn, most_likely


@pytest.mark.parametrize(("clean", "noisy", "share"), SIMULATED)
def test_the_mixture_is_near_the_most_likely_one(clean, noisy, share):
    x, is_clean = drawn(clean, noisy, share)
    found = BetaMixture.start().updated(x, SETTLED_ITERATIONS)
    best = most_likely(x, found)
    assert 0 <= best.log_likelihood(x) - found.log_likelihood(x) < 2e-4
    assert np.abs(found.clean(x) - best.clean(x)).mean() < 0.01
    assert found.weights[0] == pytest.approx(best.weights[0], abs=0.01)
    assert found.means == pytest.approx(best.means, abs=0.01)
    truth = BetaMixture(*map(np.array, zip(clean, noisy, strict=True)), np.array([share, 1 - share]))
    assert np.abs(found.clean(x) - truth.clean(x)).mean() < 0.03
    best_possible = ((truth.clean(x) > 0.5) == is_clean).mean()
    assert ((found.clean(x) > 0.5) == is_clean).mean() > best_possible - 0.01


@pytest.mark.parametrize(("clean", "noisy", "share"), SIMULATED)
def test_it_stops_where_nothing_would_change_any_more(monkeypatch, clean, noisy, share):
    x, _ = drawn(clean, noisy, share)
    real, steps = beta_mixture._matched, []
    monkeypatch.setattr(beta_mixture, "_matched", lambda *given: (steps.append(1), real(*given))[1])
    found = BetaMixture.start().updated(x, 20_000)
    assert len(steps) < 20_000
    further = found
    for _ in range(5):
        further = further.updated(x, 1)
    assert further.clean(x) == pytest.approx(found.clean(x), abs=1e-9)


def test_densities_and_distributions_are_those_of_scipy():
    mixture = BetaMixture(np.array([1.5, 6.0]), np.array([7.0, 2.0]), np.array([0.6, 0.4]))
    x = np.linspace(0.01, 0.99, 50)
    for one in (0, 1):
        known = stats.beta(mixture.alpha[one], mixture.beta[one])
        assert mixture.log_densities(x)[one] == pytest.approx(known.logpdf(x) + np.log(mixture.weights[one]))
        assert mixture.cumulative(x)[one] == pytest.approx(known.cdf(x))


def test_p_clean_never_rises_with_wrong_events_though_the_ratio_of_densities_does():
    x = np.linspace(1e-6, 1 - 1e-6, 400)
    for shapes in (((3, 10), (1.5, 2)), ((1.2, 2), (5, 3)), ((1, 2), (2, 1))):
        mixture = BetaMixture(*map(np.array, np.array(shapes, dtype=float).T), np.array([0.5, 0.5]))
        clean = mixture.clean(x)
        assert (np.diff(clean) <= 1e-12).all()
        assert clean[0] > 0.5 > clean[-1]
    bells = BetaMixture(np.array([3.0, 1.5]), np.array([10.0, 2.0]), np.array([0.5, 0.5]))
    raw = np.exp(bells.log_densities(x))
    assert (raw[0] / raw.sum(axis=0))[0] < 0.5  # what is guarded against


def test_the_guards_keep_components_from_being_u_shaped():
    x = np.concatenate([np.full(50, 1e-6), np.full(50, 1 - 1e-6), [0.5] * 4])
    mixture = BetaMixture.start().updated(x, 20)
    assert mixture.beta[0] >= 1.02
    assert mixture.alpha[1] >= 1.02
    assert mixture.clean(x)[0] > 0.99
    assert mixture.clean(x)[60] < 0.01


def test_the_weight_of_consistency_is_the_papers():
    counts = np.random.default_rng(0).integers(0, 30, 200)
    model = EventModel(np.zeros(200, int), 1)
    model.update(counts)
    clean, even = model.weights(counts)
    mixture, x = model.mixture_of(0), scaled(counts)
    low, high = (stats.beta(mixture.alpha[i], mixture.beta[i]).cdf(x) for i in (0, 1))
    p1 = mixture.clean(x)
    p2 = 1 - p1
    assert clean == pytest.approx(p1)
    assert even == pytest.approx(p1 * low + (1 - p2) * (1 - high))


def test_each_class_has_its_own_mixture_and_small_ones_share_one():
    random = np.random.default_rng(1)
    groups = np.repeat([0, 1, 2], [300, 300, 5])
    wrong = random.random(605) < 0.3
    # Of the second class even clean rows are hard.
    counts = random.binomial(40, np.where(groups == 1, np.where(wrong, 0.9, 0.5), np.where(wrong, 0.8, 0.1)))
    apart, together = EventModel(groups, 3), EventModel(groups, 3, per_group=False)
    for model in (apart, together):
        model.update(counts)
    hard = groups == 1
    right = [((model.clean(counts) < 0.5) == wrong)[hard].mean() for model in (apart, together)]
    assert right[0] > 0.95 > right[1]
    assert apart.mixture_of(2) is apart.mixtures[-1]
    again = EventModel(groups, 3)
    again.restore(apart.state())
    assert (again.clean(counts) == apart.clean(counts)).all()


def test_a_lone_row_at_the_end_does_not_get_a_component_for_itself():
    counts = np.repeat(np.arange(9), [26, 34, 18, 6, 4, 3, 3, 0, 1])
    model = EventModel(np.zeros(len(counts), int), 1, per_group=False)
    model.settle(counts)
    assert 4 < (model.clean(counts) < 0.5).sum() < 30
    cut = BetaMixture.start().updated(np.clip(counts / 8, 1e-6, 1 - 1e-6), SETTLED_ITERATIONS)
    assert cut.weights[1] < 0.02  # what is guarded against


def test_rows_that_nothing_tells_apart_are_clean():
    model = EventModel(np.zeros(40, int), 1)
    model.update(np.full(40, 7))
    clean, even = model.weights(np.full(40, 7))
    assert (clean == 1).all()
    assert np.isfinite(even).all()


def test_a_few_events_are_not_stretched_to_look_like_many():
    random = np.random.default_rng(0)
    counts = random.binomial(30, 0.01, 400)
    assert counts.max() < 4
    paper = EventModel(np.zeros(400, int), 1)
    paper.settle(counts)
    assert (paper.clean(counts) < 0.5).mean() > 0.2  # what is guarded against
    model = EventModel(np.zeros(400, int), 1, least=HALF)
    model.settle(counts, 30)
    assert (model.clean(counts) == 1).all()
    assert model.mixture_of(0).single
    assert model.mixture_of(0).means[0] == pytest.approx(scaled(counts, 30).mean())
    again = EventModel(np.zeros(400, int), 1)
    again.restore(model.state())
    assert again.mixture_of(0).single


def test_harder_rows_of_a_class_are_no_wrong_labels_and_wrong_labels_of_another_are_found():
    random = np.random.default_rng(0)
    groups, hard = np.repeat([0, 1], 200), np.tile(np.arange(200) % 10 == 0, 2)
    counts = random.binomial(100, np.where(hard, np.where(groups == 1, 0.9, 0.3), 0.02))
    model = EventModel(groups, 2, least=HALF)
    model.settle(counts, 100)
    doubted = model.clean(counts) < 0.5
    assert not doubted[groups == 0].any()
    assert (doubted == hard)[groups == 1].all()
    assert [model.mixture_of(group).single for group in (0, 1)] == [True, False]


def test_the_scale_is_the_papers_where_some_row_has_an_event_at_every_visit():
    counts = np.random.default_rng(0).integers(3, 31, 200)
    assert counts.max() == 30
    assert (scaled(counts, 30) == scaled(counts)).all()
    assert (scaled(counts, 60) < scaled(counts)).all()
    losses = np.random.default_rng(0).random(50)
    assert (scaled(losses, 30) == scaled(losses)).all()
