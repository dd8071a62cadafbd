"""How many entities there are: published figures, definitions in exact arithmetic, simulated crowds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from tasks.crowd.discover.collect import Stop, collect, curve
from tasks.crowd.discover.estimate import (
    by_coverage,
    chao84,
    chao92,
    counts_of,
    coverage,
    estimate,
    named,
    rounded_down,
    tolerant,
    variation,
)
from tests.crowd.discover.zipf import named_by_crowd

# Butterflies of Malaya (Fisher, Corbet and Williams 1943): species of which 1, 2, ... 24 were caught.
BUTTERFLIES = [118, 74, 44, 24, 29, 22, 20, 19, 20, 15, 12, 14, 6, 12, 6, 9, 9, 6, 10, 10, 11, 5, 3, 3]


def times_of(frequencies: list[int]) -> np.ndarray:
    return np.repeat(np.arange(1, len(frequencies) + 1), frequencies)


def exactly(frequencies: list[int]) -> tuple[Fraction, Fraction, Fraction]:
    """Coverage, squared coefficient of variation and number, as Chao and Lee define them (equations 2.11 and 2.12)."""
    n = sum(i * f for i, f in enumerate(frequencies, start=1))
    c, known = sum(frequencies), 1 - Fraction(frequencies[0], n)
    pairs = sum(i * (i - 1) * f for i, f in enumerate(frequencies, start=1))
    spread = max(c / known * pairs / (n * (n - 1)) - 1, Fraction(0))
    return known, spread, c / known + n * (1 - known) / known * spread


@pytest.mark.parametrize(
    "frequencies", [[3, 1], [10, 5, 2, 1], [1, 0, 0, 7], BUTTERFLIES, [40, 3, 0, 0, 0, 0, 0, 0, 0, 1]]
)
def test_estimates_are_those_of_exact_arithmetic(frequencies):
    counts = counts_of(times_of(frequencies))
    known, spread, number = exactly(frequencies)
    assert float(coverage(counts)) == pytest.approx(float(known))
    assert float(variation(counts)) == pytest.approx(float(spread))
    assert float(chao92(counts)) == pytest.approx(float(number))


def test_a_worked_example():
    # 20 answers: 4 entities once, 3 twice, 2 five times. Coverage 16/20; 9 / .8 = 11.25; pairs 3 * 2 + 2 * 20 = 46;
    # variation 11.25 * 46 / 380 - 1 = .3618; 11.25 + 20 * .2 / .8 * .3618 = 13.06.
    counts = counts_of(np.array([1, 1, 1, 1, 2, 2, 2, 5, 5]))
    assert float(by_coverage(counts)) == pytest.approx(11.25)
    assert float(variation(counts)) == pytest.approx(0.36184, abs=1e-5)
    assert float(chao92(counts)) == pytest.approx(13.0592, abs=1e-4)
    assert float(chao84(counts)) == pytest.approx(9 + 16 / 6)


def test_the_lower_bound_of_butterflies_is_the_published_one():
    # 620 species in all, those caught more than 24 times among them; Chao (1984) gives 714.
    counts = counts_of(np.concatenate([times_of(BUTTERFLIES), np.full(620 - sum(BUTTERFLIES), 30)]))
    assert float(chao84(counts)) == pytest.approx(714.08, abs=0.01)


def test_nothing_named_twice_says_nothing_of_the_number():
    found = estimate(named(np.array([0, 1, 2]), np.array([0, 1, 2])))
    assert found.coverage == 0
    assert found.number == found.number_high == float("inf")
    assert found.completeness == 0
    assert estimate(named(np.zeros(0, int), np.zeros(0, int))).entities == 0


def test_leaving_out_a_worker_is_counting_without_them():
    for for_streakers in (False, True):
        crowd = named_by_crowd(3, entities=60, exponent=0.8, workers=9, each=12, streakers=1, streak=30)
        table = named(crowd.worker, crowd.entity)
        found = estimate(table, for_streakers=for_streakers)
        without = []
        for worker in range(10):
            rest = crowd.worker != worker
            people = np.unique(crowd.worker[rest], return_inverse=True)[1]
            without.append(estimate(named(people, crowd.entity[rest]), for_streakers=for_streakers))
        covered = np.array([one.coverage for one in without])
        error = np.sqrt(9 / 10 * ((covered - covered.mean()) ** 2).sum())
        assert found.coverage - found.coverage_low == pytest.approx(1.959964 * error, rel=1e-5)
        numbers = np.array([one.number for one in without])
        variance = 9 / 10 * ((numbers - numbers.mean()) ** 2).sum()
        missing = found.number - found.entities
        factor = np.exp(1.959964 * np.sqrt(np.log(1 + variance / missing**2)))
        assert found.number_high == pytest.approx(found.entities + missing * factor, rel=1e-5)
        assert found.number_low == pytest.approx(found.entities + missing / factor, rel=1e-5)


def test_few_workers_are_left_out_answer_by_answer():
    worker, entity = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 3, 4])
    covered = []
    for left_out in range(7):
        rest = np.arange(7) != left_out
        covered.append(float(coverage(counts_of(np.bincount(entity[rest])))))
    error = 1.959964 * np.sqrt(6 / 7 * ((np.array(covered) - np.mean(covered)) ** 2).sum())
    found = estimate(named(worker, entity))
    assert min(1.0, found.coverage + error) == pytest.approx(found.coverage_high)


def test_a_streaker_counts_for_no_more_than_others_and_two_deviations():
    own = np.array([1.0, 2, 3, 2, 40])
    others = own[:4]
    cap = others.mean() + 2 * others.std(ddof=1)
    assert float(tolerant(own)) == pytest.approx(8 + cap)
    assert float(tolerant(np.array([3.0, 30.0]))) == 33  # of two nobody can be told to be the streaker


def test_what_one_alone_named_leaves_coverage_below_all_of_it():
    # All name the same two things, and one of them a third: f_1 is 1 of 11, not 0.
    worker, entity = np.array([*np.repeat(range(5), 2), 4]), np.array([*np.tile([0, 1], 5), 2])
    assert float(tolerant(np.array([0.0, 0, 0, 0, 1]))) == 1
    found = estimate(named(worker, entity))
    assert found.coverage == pytest.approx(10 / 11)
    assert found.completeness < 1
    assert found.number_high > found.number > 3


@pytest.mark.parametrize("exponent", [0, 0.5, 1.1])
def test_the_number_is_never_below_the_lower_bound_and_coverage_never_whole_with_singletons(exponent):
    for seed in range(20):
        for workers, each in ((4, 6), (10, 8), (40, 10)):
            crowd = named_by_crowd(seed, 60, exponent, workers, each, streakers=seed % 3, streak=25)
            table = named(np.unique(crowd.worker, return_inverse=True)[1], crowd.entity)
            once = int((np.asarray(table.sum(axis=0)) == 1).sum())
            for for_streakers in (False, True):
                found = estimate(table, for_streakers=for_streakers)
                assert (found.coverage < 1) == (once > 0)
                assert found.entities <= found.number_low <= found.number <= found.number_high
                assert found.chao84 <= found.number
                assert found.once <= once


def test_a_share_that_is_shown_is_all_only_if_it_is():
    assert rounded_down(1 - 1 / 4000, 3) == 0.999
    assert (rounded_down(1.0, 3), rounded_down(0.29, 2), rounded_down(0.57, 2)) == (1.0, 0.29, 0.57)


def test_a_streaker_does_not_blow_up_the_number():
    crowd = named_by_crowd(5, entities=200, exponent=0.7, workers=30, each=10, streakers=1, streak=150)
    table = named(crowd.worker, crowd.entity)
    plain, corrected = estimate(table, for_streakers=False), estimate(table)
    assert abs(corrected.number - 200) < abs(plain.number - 200)


def test_intervals_hold_what_is_true_most_of_the_time():
    held = []
    for seed in range(40):
        crowd = named_by_crowd(seed, entities=150, exponent=0.5, workers=40, each=8)
        found = estimate(named(crowd.worker, crowd.entity))
        held.append(found.coverage_low <= crowd.coverage(len(crowd.worker)) <= found.coverage_high)
    assert np.mean(held) > 0.7


def test_a_worker_who_names_the_same_twice_counts_once():
    assert named(np.array([0, 0, 1]), np.array([2, 2, 2])).sum() == 2


def test_collecting_stops_when_the_lower_bound_reaches_the_target():
    crowd = named_by_crowd(1, entities=80, exponent=0.8, workers=200, each=8)
    stop = Stop(coverage=0.9)
    taken, why = collect(crowd.worker, crowd.entity, stop, batch=10)
    assert "90% of the answers" in why
    assert taken < len(crowd.worker)
    assert stop.estimate(crowd.worker[:taken], crowd.entity[:taken]).coverage_low >= 0.9
    assert stop.estimate(crowd.worker[: taken - 10], crowd.entity[: taken - 10]).coverage_low < 0.9
    assert crowd.coverage(taken) > 0.85


def test_completeness_takes_longer_and_a_price_stops_earlier():
    crowd = named_by_crowd(1, entities=80, exponent=0.8, workers=200, each=8)
    taken = {
        name: collect(crowd.worker, crowd.entity, stop, batch=10)[0]
        for name, stop in {
            "answers": Stop(coverage=0.9),
            "entities": Stop(coverage=0.9, of="entities"),
            "price": Stop(coverage=0.999, price=0.3, value=1.0),
        }.items()
    }
    assert taken["price"] < taken["answers"] < taken["entities"]


def test_answers_that_never_suffice_are_all_taken():
    crowd = named_by_crowd(1, entities=500, exponent=0.2, workers=5, each=5)
    assert collect(crowd.worker, crowd.entity, Stop(), batch=7) == (len(crowd.worker), "")


def test_the_curve_ends_with_all_answers():
    crowd = named_by_crowd(2, entities=50, exponent=1, workers=20, each=6)
    points = curve(crowd.worker, crowd.entity, Stop(), points=15)
    assert len(points) == 15
    assert points[-1].answers == len(crowd.worker)
    assert all(one.entities <= two.entities for one, two in pairwise(points))
