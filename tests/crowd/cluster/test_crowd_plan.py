"""Plans as a whole, with simulated crowds: what is pruned is not asked, what is audited is told, and what it cost is counted."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tasks.crowd.cluster.crowd import Asked, simulated
from tasks.crowd.cluster.plan import (
    ALL,
    ASKED,
    AUDITED,
    DEDUCE,
    PIVOT,
    PRUNED,
    TAKEN,
    Decided,
    Method,
    make_plan,
)
from tasks.crowd.cost.estimate import expected
from tasks.crowd.cost.pairs import Candidates, Plan, follow
from tasks.crowd.truth.methods import METHODS
from tasks.run.seeds import generator

NAMES = [f"w{number}" for number in range(20)]


@pytest.fixture(scope="module")
def world() -> tuple[Candidates, np.ndarray]:
    """Candidates of 60 records in 12 entities, with scores that are probabilities, and which of them match."""
    random = np.random.default_rng(0)
    entity = random.integers(0, 12, 60)
    ends = np.array(list(combinations(range(60), 2)))
    truth = (entity[ends[:, 0]] == entity[ends[:, 1]]).astype(np.int64)
    kept = (truth == 1) | (random.random(len(ends)) < 0.2)
    ends, truth = ends[kept], truth[kept]
    score = np.clip(random.normal(0.2 + 0.6 * truth, 0.15), 0, 1)
    return Candidates(ends[:, 0], ends[:, 1], score, 60), truth


def plan_of(pairs: Candidates, method: Method) -> Plan[Decided]:
    return make_plan(pairs, method, lambda purpose: generator(1, purpose))


def run(
    world: tuple[Candidates, np.ndarray], method: Method, right: float = 1.0, redundancy: int = 3
) -> tuple[Decided, Asked, np.ndarray]:
    pairs, truth = world
    confusion = np.broadcast_to([[right, 1 - right], [1 - right, right]], (20, 2, 2))
    crowd = simulated(truth, confusion, NAMES, redundancy, np.random.default_rng(5))
    asked = Asked(len(pairs), crowd, METHODS["mv"]())
    outcome = follow(plan_of(pairs, method), asked)
    return outcome, asked, outcome.cluster[pairs.left] == outcome.cluster[pairs.right]


@pytest.mark.parametrize("name", [PIVOT, DEDUCE, ALL])
@pytest.mark.parametrize("refined", [True, False])
def test_a_crowd_that_is_right_makes_right_clusters(world, name: str, refined: bool) -> None:
    outcome, asked, same = run(world, Method(name, refined))
    assert (same == (world[1] == 1)).all()
    questions = sum(count for count, _ in asked.rounds)
    assert questions == (~np.isnan(outcome.match)).sum() == (outcome.how == ASKED).sum()
    assert (questions == len(world[0])) == (name == ALL)
    answers, _ = asked.inferred()
    assert len(answers) == 3 * questions
    assert answers.repeated == 0


@pytest.mark.parametrize("name", [PIVOT, DEDUCE, ALL])
def test_what_the_score_decides_is_not_asked(world, name: str) -> None:
    pairs, _ = world
    outcome, _, same = run(world, Method(name, True, 0.3, 0.9), right=0.9)
    decided = (pairs.score <= 0.3) | (pairs.score >= 0.9)
    assert np.isnan(outcome.match[decided]).all()
    assert not same[outcome.how == PRUNED].any()
    assert same[outcome.how == TAKEN].all()
    assert {PRUNED, TAKEN} <= set(outcome.how.tolist())


def test_bounds_are_chosen_by_the_answers_to_a_sample(world) -> None:
    """Of 400 pairs asked first, and no others outside of the bounds that they give."""
    pairs, truth = world
    outcome, asked, _ = run(world, Method(DEDUCE, False, sample=400, error=0.05, confidence=0.9))
    assert asked.rounds[0] == (400, 1200)
    assert 0 <= outcome.band.low < outcome.band.high <= 1
    decided = outcome.band.decisions(pairs.score)
    assert ((decided >= 0) & (decided != truth)).mean() <= 0.05
    outside = np.flatnonzero((decided >= 0) & ~np.isnan(outcome.match))
    assert len(outside) <= 400


def test_an_audit_asks_what_was_not_asked_and_tells_how_much_of_it_is_wrong(world) -> None:
    """Half of all records wrongly apart, because everything is pruned: the audit finds the share of matches."""
    pairs, truth = world
    outcome, _, same = run(world, Method(DEDUCE, False, 1.0, audit=0.05))
    assert not same.any()
    assert outcome.dissent is not None
    assert outcome.dissent.low <= truth.mean() <= outcome.dissent.high
    assert outcome.dissent.error < 0.08
    assert (outcome.how == AUDITED).sum() == outcome.dissent.asked < len(pairs)


def test_the_cost_that_is_expected_from_right_scores_is_that_of_a_crowd(world) -> None:
    pairs, truth = world
    score = np.where(truth == 1, 0.97, 0.03)
    sharp = Candidates(pairs.left, pairs.right, score, pairs.records)
    method = Method(PIVOT, False)
    awaited = expected(lambda: plan_of(sharp, method), sharp, draws=10)
    _, asked, _ = run((sharp, truth), method)
    actual = sum(count for count, _ in asked.rounds)
    assert awaited.least <= awaited.questions <= awaited.most
    assert awaited.questions == pytest.approx(actual, rel=0.3)
    everything = expected(lambda: plan_of(sharp, Method(ALL)), sharp)
    assert (everything.questions, everything.rounds) == (len(sharp), 1)


def test_a_simulated_crowd_errs_as_it_is_told() -> None:
    truth = np.repeat([0, 1], 4000)
    confusion = np.stack([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]], [[1.0, 0.0], [0.0, 1.0]]])
    crowd = simulated(
        truth, confusion, ["a", "b", "c"], 2, np.random.default_rng(0), np.array([4.0, 1.0, 1.0])
    )
    assert (crowd.worker[:, 0] != crowd.worker[:, 1]).all()
    for worker in range(3):
        for right in range(2):
            of_both = (crowd.worker == worker) & (truth[:, None] == right)
            assert crowd.label[of_both].mean() == pytest.approx(confusion[worker, right, 1], abs=0.03)
    assert np.bincount(crowd.worker[:, 0]) / 8000 == pytest.approx([4 / 6, 1 / 6, 1 / 6], abs=0.02)
    rows, workers, labels = crowd(np.array([5, 9]))
    assert rows.tolist() == [5, 5, 9, 9]
    assert len(workers) == len(labels) == 4
