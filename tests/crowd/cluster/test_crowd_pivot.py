"""Crowd-pivot and its refinement: rounds against one pivot at a time, disagreement against every way to cluster."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np
import pytest

from tasks.crowd.cluster.pivot import crowd_pivot
from tasks.crowd.cluster.refine import disagreement, operations, refine
from tasks.crowd.cost.pairs import Candidates, Plan, follow, numbered


def some_pairs(seed: int, records: int, share: float) -> tuple[Candidates, np.ndarray]:
    """Candidates of records in entities, and a crowd's answers, a fifth of them wrong."""
    random = np.random.default_rng(seed)
    entity = random.integers(0, max(2, records // 4), records)
    ends = np.array(list(combinations(range(records), 2)))
    ends = ends[random.random(len(ends)) < share]
    same = entity[ends[:, 0]] == entity[ends[:, 1]]
    score = np.clip(random.normal(0.3 + 0.4 * same, 0.2), 0, 1)
    answers = np.where(random.random(len(ends)) < 0.2, ~same, same).astype(float)
    return Candidates(ends[:, 0], ends[:, 1], score, records), answers


def carried_out(plan: Plan, answers: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The result, and what was asked in each round; `said` is filled."""
    rounds = []

    def ask(rows: np.ndarray) -> np.ndarray:
        assert np.isnan(said[rows]).all()
        rounds.append(rows)
        said[rows] = answers[rows]
        return said.copy()

    return follow(plan, ask), rounds


def one_at_a_time(
    pairs: Candidates, answers: np.ndarray, taken: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, set[int], int]:
    """The algorithm as it is written down: clusters, questions, and pivots that asked any."""
    cluster, left, asked, pivots = np.arange(pairs.records), set(range(pairs.records)), set(), 0
    ends = list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    for pivot in np.argsort(rank).tolist():
        if pivot not in left:
            continue
        left.remove(pivot)
        near = [(row, sum(pair) - pivot) for row, pair in enumerate(ends) if pivot in pair]
        near = [(row, other) for row, other in near if other in left]
        fresh = {row for row, _ in near if not taken[row]}
        asked |= fresh
        pivots += bool(fresh)
        for row, other in near:
            if taken[row] or answers[row] > 0.5:
                cluster[other] = pivot
                left.remove(other)
    return numbered(cluster), asked, pivots


@pytest.mark.parametrize("seed", range(15))
def test_rounds_ask_what_one_pivot_at_a_time_asks(seed: int) -> None:
    pairs, answers = some_pairs(seed, 40, 0.15)
    random = np.random.default_rng(seed)
    taken, rank = random.random(len(pairs)) < 0.1, random.permutation(40)
    said = np.full(len(pairs), np.nan)
    cluster, rounds = carried_out(crowd_pivot(pairs, ~taken, taken, rank), answers, said)
    theirs, asked, pivots = one_at_a_time(pairs, answers, taken, rank)
    assert cluster.tolist() == theirs.tolist()
    assert set(np.concatenate(rounds).tolist()) == asked
    assert len(rounds) <= pivots


def test_rounds_are_far_fewer_than_pivots_where_candidates_are_few() -> None:
    pairs, answers = some_pairs(3, 200, 0.015)
    rank = np.random.default_rng(0).permutation(200)
    nothing = np.zeros(len(pairs), dtype=bool)
    said = np.full(len(pairs), np.nan)
    _, rounds = carried_out(crowd_pivot(pairs, ~nothing, nothing, rank), answers, said)
    assert len(rounds) * 4 < one_at_a_time(pairs, answers, nothing, rank)[2]


def every_clustering(records: int) -> Iterator[np.ndarray]:
    def grown(given: list[int]) -> Iterator[list[int]]:
        if len(given) == records:
            yield given
            return
        for one in range(max(given) + 2):
            yield from grown([*given, one])

    for one in grown([0]):
        yield np.array(one)


@pytest.mark.parametrize("seed", range(3))
def test_in_expectation_disagreement_is_at_most_three_times_the_least(seed: int) -> None:
    """Over all orders of five records, against all ways to cluster them."""
    pairs, answers = some_pairs(seed, 5, 1.0)
    nothing = np.zeros(len(pairs), dtype=bool)
    least = min(disagreement(pairs, answers, one) for one in every_clustering(5))
    found = []
    for order in permutations(range(5)):
        said = np.full(len(pairs), np.nan)
        cluster, _ = carried_out(crowd_pivot(pairs, ~nothing, nothing, np.array(order)), answers, said)
        found.append(disagreement(pairs, answers, cluster))
    assert least <= np.mean(found) <= 3 * least


@pytest.mark.parametrize("seed", range(5))
def test_benefits_are_what_disagreement_falls_by(seed: int) -> None:
    pairs, _ = some_pairs(seed, 12, 0.5)
    random = np.random.default_rng(seed)
    likely, cluster = random.random(len(pairs)), numbered(random.integers(0, 4, 12))
    open_pairs = random.random(len(pairs)) < 0.5
    before = disagreement(pairs, likely, cluster)
    found = operations(pairs, likely, open_pairs, cluster)
    assert (found.record >= 0).any()
    assert (found.record < 0).any()
    for at in range(len(found.benefit)):
        after = cluster.copy()
        if found.record[at] >= 0:
            after[found.record[at]] = 99
        else:
            after[cluster == found.second[at]] = found.first[at]
        changed = (cluster[pairs.left] == cluster[pairs.right]) != (after[pairs.left] == after[pairs.right])
        assert found.benefit[at] == pytest.approx(before - disagreement(pairs, likely, numbered(after)))
        assert found.questions[at] == (changed & open_pairs).sum()


@pytest.mark.parametrize("seed", range(8))
def test_refinement_leaves_nothing_that_answers_speak_against(seed: int) -> None:
    pairs, answers = some_pairs(seed, 40, 0.4)
    nothing = np.zeros(len(pairs), dtype=bool)
    said = np.full(len(pairs), np.nan)
    rank = np.random.default_rng(seed).permutation(40)
    cluster, first = carried_out(crowd_pivot(pairs, ~nothing, nothing, rank), answers, said)
    refining = refine(pairs, ~nothing, nothing, said.copy(), cluster)
    better, rounds = carried_out(refining, answers, said)
    assert disagreement(pairs, answers, better) < disagreement(pairs, answers, cluster)
    assert sum(map(len, rounds)) + sum(map(len, first)) <= len(pairs)
    known = ~np.isnan(said)
    left = operations(pairs, np.where(known, said, 0.5), ~known, better)
    assert not ((left.questions == 0) & (left.benefit > 1e-6)).any()
