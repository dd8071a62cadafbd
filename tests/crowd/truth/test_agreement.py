"""Agreement of workers: Krippendorff's worked example, and plain loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom

from tasks.crowd.answers import answers_of, numbers_of
from tasks.crowd.truth.agreement import (
    agreement_with_others,
    golden_record,
    krippendorff_alpha,
    krippendorff_alpha_of_numbers,
    pairs_of_workers,
    pairs_on_numbers,
    spammer_score,
    upper_bound,
)
from tasks.crowd.truth.inferred import UNKNOWN

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), example C: four observers, twelve units.
OBSERVERS = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
ROWS = [
    (unit, observer, value)
    for observer, line in enumerate(OBSERVERS)
    for unit, value in enumerate(line.split())
    if value != "."
]
ANSWERS = answers_of(*zip(*ROWS, strict=True))


def test_alpha_is_that_of_the_worked_example() -> None:
    assert krippendorff_alpha(ANSWERS) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha_of_numbers(numbers_of(*zip(*ROWS, strict=True))) == pytest.approx(
        0.849, abs=5e-4
    )


def test_alpha_where_there_is_nothing_to_compare() -> None:
    alone = answers_of(["a", "b"], ["v", "w"], ["x", "y"])
    assert np.isnan(krippendorff_alpha(alone))
    assert krippendorff_alpha(answers_of(["a", "a"], ["v", "w"], ["x", "x"])) == 1
    assert np.isnan(krippendorff_alpha_of_numbers(numbers_of(["a"], ["w"], [1])))


def test_how_far_pairs_are_apart_on_numbers_is_that_of_loops() -> None:
    random = np.random.default_rng(4)
    value = {
        (task, worker): 1e6 + random.normal(worker, 1 + worker)  # large beside what tells them apart
        for task in range(30)
        for worker in range(5)
        if random.random() < 0.6
    }
    numbers = numbers_of(*zip(*value, strict=True), list(value.values()))
    names = list(map(int, numbers.workers))
    pairs = pairs_on_numbers(numbers, least=8)
    seen = {}
    for one, other in combinations(names, 2):
        apart = [value[t, one] - value[t, other] for t in range(30) if {(t, one), (t, other)} <= set(value)]
        if len(apart) >= 8:
            seen[one, other] = len(apart), np.mean(apart), np.sqrt(np.mean(np.square(apart)))
    found = zip(pairs.first, pairs.second, pairs.common, pairs.bias, pairs.apart, strict=True)
    told = {(names[a], names[b]): own for a, b, *own in found}
    assert told.keys() == seen.keys()
    assert 3 < len(seen) <= 10
    for pair, own in seen.items():
        assert np.allclose(told[pair], own, rtol=1e-6)
    assert (np.diff(pairs.common) <= 0).all()


def test_numbers_that_nobody_else_gave_have_no_pairs() -> None:
    assert not len(pairs_on_numbers(numbers_of(["a", "b"], ["v", "w"], [1, 2])).common)


def test_agreement_with_others_and_of_pairs_is_that_of_loops() -> None:
    label = {(int(task), observer): value for task, observer, value in ROWS}
    pairs = pairs_of_workers(ANSWERS)
    seen = {}
    for one, other in combinations(range(4), 2):
        common = [task for task in range(12) if (task, one) in label and (task, other) in label]
        seen[one, other] = len(common), sum(label[task, one] == label[task, other] for task in common)
    found = zip(pairs.first, pairs.second, pairs.common, pairs.agreed, strict=True)
    assert {(int(a), int(b)): (int(c), int(d)) for a, b, c, d in found} == seen
    assert (np.diff(pairs.common) <= 0).all()
    assert len(pairs_of_workers(ANSWERS, least=10).common) == sum(common >= 10 for common, _ in seen.values())
    with_others = [
        (sum(seen[tuple(sorted((one, other)))][1] for other in range(4) if other != one))
        / sum(seen[tuple(sorted((one, other)))][0] for other in range(4) if other != one)
        for one in range(4)
    ]
    assert agreement_with_others(ANSWERS) == pytest.approx(np.array(with_others))


def test_spammer_score_is_the_distance_of_all_rows() -> None:
    random = np.random.default_rng(0)
    confusion = random.dirichlet(np.ones(4), (5, 4))
    expected = [
        sum(((one[a] - one[b]) ** 2).sum() for a, b in combinations(range(4), 2)) / (4 * 3)
        for one in confusion
    ]
    assert spammer_score(confusion) == pytest.approx(np.array(expected))
    assert spammer_score(np.eye(3)[None]) == pytest.approx(np.ones(1))
    assert spammer_score(np.full((1, 3, 3), 1 / 3)) == pytest.approx(np.zeros(1))
    assert spammer_score(np.array([[[0.9, 0.1], [0.4, 0.6]]])) == pytest.approx((0.9 + 0.6 - 1) ** 2)


def test_at_the_upper_bound_as_few_right_answers_are_as_rare_as_said() -> None:
    for right, given in ((0, 5), (3, 10), (19, 20)):
        bound = upper_bound(np.array([float(right)]), np.array([given]), 0.95)[0]
        assert binom.cdf(right, given, bound) == pytest.approx(0.05)
    assert upper_bound(np.array([4.0]), np.array([4]))[0] == 1
    assert upper_bound(np.array([0.0]), np.array([0]))[0] == 1


def test_golden_records_count_golden_tasks_alone() -> None:
    answers = answers_of(["a", "a", "b"], ["v", "w", "v"], ["x", "y", "y"])
    right, given = golden_record(answers, np.array([0, UNKNOWN]))
    assert right.tolist() == [1, 0]
    assert given.tolist() == [1, 1]
