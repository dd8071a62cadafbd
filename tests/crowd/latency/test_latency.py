"""How long a crowd takes: fitting, simulating, and the pool that waits."""

from __future__ import annotations

from dataclasses import replace
from math import factorial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import lognorm

from tasks.crowd.latency.forecast import forecast
from tasks.crowd.latency.retainer import erlang_loss, pool_for
from tasks.crowd.latency.simulate import Plan, simulate
from tasks.crowd.latency.workers import ServiceModel, fit
from tasks.records import BadInput

MODEL = ServiceModel(median=30.0, between=0.7, within=0.5)


def test_fitting_finds_what_times_were_drawn_from() -> None:
    random = np.random.default_rng(0)
    paces = MODEL.paces(300, random)
    worker = np.repeat(np.arange(300), random.integers(2, 12, 300))
    seconds = paces[worker] * np.exp(MODEL.within * random.standard_normal(len(worker)))
    started = np.sort(random.uniform(0, 7200, 300))[worker]
    found = fit(worker, seconds, started)
    assert found.median == pytest.approx(30, rel=0.15)
    assert found.between == pytest.approx(0.7, rel=0.15)
    assert found.within == pytest.approx(0.5, rel=0.1)
    assert found.arrivals == pytest.approx(150, rel=0.1)


def test_of_balanced_times_the_fit_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(1)
    logs = random.normal(0, 1, (40, 1)) + random.normal(3, 0.5, (40, 6))
    found = fit(np.repeat(np.arange(40), 6), np.exp(logs.ravel()))
    within = ((logs - logs.mean(axis=1, keepdims=True)) ** 2).sum() / (40 * 5)
    between = logs.mean(axis=1).var() - within / 6  # of maximum likelihood, which divides by 40
    assert found.within**2 == pytest.approx(within, rel=1e-3)
    assert found.between**2 == pytest.approx(between, rel=1e-3)
    assert np.log(found.median) == pytest.approx(logs.mean(), abs=1e-3)


@pytest.mark.parametrize("mitigation", [False, True])
def test_a_round_takes_as_long_as_order_statistics_say(mitigation: bool) -> None:
    """Five workers who are alike: the slowest of five tasks, or the quickest of five answers to one, integrated by scipy."""
    model = ServiceModel(median=30.0, between=0.0, within=0.6)
    time = lognorm(s=0.6, scale=30.0)
    plan = Plan(tasks=1 if mitigation else 5, pool=5, mitigation=mitigation)
    left = (lambda x: time.sf(x) ** 5) if mitigation else (lambda x: 1 - time.cdf(x) ** 5)
    expected, _ = quad(left, 0, 2000, limit=200)
    random = np.random.default_rng(5)
    found = [simulate(model, plan, random).done.max() for _ in range(2000)]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)


def test_new_workers_come_in_a_poisson_stream() -> None:
    """A task is done as soon as somebody comes, so that tasks are done as a Poisson stream has its points."""
    model = ServiceModel(median=1e-6, between=0.0, within=0.0, arrivals=120.0)
    plan = Plan(tasks=1, redundancy=8, pool=8, present=0)
    found = [simulate(model, plan, np.random.default_rng(seed)).done.max() for seed in range(400)]
    assert np.mean(found) == pytest.approx(8 * 30, rel=0.05)
    assert np.std(found) == pytest.approx(np.sqrt(8) * 30, rel=0.1)
    assert simulate(model, replace(plan, recruiting=0.0), np.random.default_rng(0)).done.max() < 1e-3


def test_a_model_of_few_workers_is_drawn_about_what_was_fitted() -> None:
    fitted = replace(MODEL, fitted=(12, 60))
    random = np.random.default_rng(6)
    drawn = [fitted.drawn(random) for _ in range(1500)]
    centres = np.log([one.median for one in drawn])
    assert centres.mean() == pytest.approx(np.log(30), abs=0.03)
    assert centres.std() >= np.sqrt(0.7**2 / 12 + 0.5**2 / 60)  # of a mean whose variances are known
    assert np.mean([one.arrivals for one in drawn]) == pytest.approx(fitted.arrivals, rel=0.03)
    assert MODEL.drawn(random) == MODEL


def test_too_few_times_are_one_line() -> None:
    with pytest.raises(BadInput, match="two workers"):
        fit(np.array(["a", "a"]), np.array([1.0, 2.0]))


def test_erlang_loss_is_the_formula() -> None:
    for load, pool in ((0.5, 1), (3.0, 4), (12.0, 10)):
        direct = (load**pool / factorial(pool)) / sum(load**k / factorial(k) for k in range(pool + 1))
        assert erlang_loss(load, pool) == pytest.approx(direct)
    assert 0 < erlang_loss(900.0, 1000) < 1  # where powers and factorials overflow
    pool = pool_for(12.0, 0.01)
    assert erlang_loss(12.0, pool) <= 0.01 < erlang_loss(12.0, pool - 1)


def test_erlang_loss_is_what_a_simulated_retainer_loses() -> None:
    """Whatever the distribution of how long places are empty, of which the formula takes the mean alone."""
    random = np.random.default_rng(2)
    away = ServiceModel(median=2.0, between=0.7, within=0.5)
    clock, back, lost = 0.0, [], 0
    for _ in range(40_000):
        clock += random.exponential(1.0)
        back = [time for time in back if time > clock]  # when each who is at a task will wait again
        if len(back) < 5:
            seconds = away.paces(1, random)[0] * np.exp(away.within * random.standard_normal())
            back.append(clock + seconds)
        else:
            lost += 1
    assert lost / 40_000 == pytest.approx(erlang_loss(away.mean, 5), abs=0.01)


def test_one_worker_does_one_task_after_the_other() -> None:
    course = simulate(ServiceModel(10.0, 0.0, 0.0), Plan(tasks=4, pool=1), np.random.default_rng(0))
    assert course.done.tolist() == pytest.approx([10, 20, 30, 40])
    assert course.paid == 4


@pytest.mark.parametrize("mitigation", [False, True])
def test_every_task_has_its_answers_of_different_workers(mitigation: bool) -> None:
    plan = Plan(tasks=30, redundancy=3, pool=7, batch=10, mitigation=mitigation, slowest=40.0)
    course = simulate(MODEL, plan, np.random.default_rng(3))
    assert np.isfinite(course.done).all()
    assert len(course.rounds) == 3
    assert course.rounds.sum() == pytest.approx(course.done.max())
    assert course.paid >= 90
    assert (course.paid > 90) == mitigation
    with pytest.raises(ValueError, match="as many workers"):
        simulate(MODEL, replace(plan, pool=2), np.random.default_rng(3))


def test_mitigation_shortens_rounds_and_maintenance_all_that_follow() -> None:
    plan = Plan(tasks=120, pool=8, batch=8, recruiting=20.0)
    each = {
        name: np.array([simulate(MODEL, made, np.random.default_rng(seed)).rounds for seed in range(8)])
        for name, made in (
            ("plain", plan),
            ("mitigation", replace(plan, mitigation=True)),
            ("maintenance", replace(plan, slowest=30.0)),
        )
    }
    assert each["mitigation"].mean() < 0.6 * each["plain"].mean()
    assert each["mitigation"].std() < 0.6 * each["plain"].std()
    assert each["maintenance"][:, 8:].mean() < 0.8 * each["plain"][:, 8:].mean()


def test_the_forecast_holds_what_happens_as_often_as_it_says() -> None:
    plan = Plan(tasks=40, redundancy=2, pool=6)
    expected = forecast(MODEL, plan, runs=150)
    low, middle, high = expected.interval
    ends = [simulate(MODEL, plan, np.random.default_rng(1000 + seed)).done.max() for seed in range(150)]
    assert np.mean([low <= end <= high for end in ends]) == pytest.approx(0.9, abs=0.07)
    assert (np.diff(expected.middle) >= 0).all()
    assert np.mean([end <= middle for end in ends]) == pytest.approx(0.5, abs=0.12)
