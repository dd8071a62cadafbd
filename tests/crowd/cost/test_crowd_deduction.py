"""Deduction: against the exhaustive closure of small graphs, and what a round may publish against every answer there could be."""

from __future__ import annotations

from itertools import combinations, product

import networkx as nx
import numpy as np
import pytest

from tasks.crowd.cost.deduction import Known, consistent, deduce, to_publish
from tasks.crowd.cost.pairs import Candidates, follow


def some_pairs(seed: int, records: int, count: int) -> Candidates:
    random = np.random.default_rng(seed)
    ends = np.array(list(combinations(range(records), 2)))
    ends = ends[random.permutation(len(ends))[:count]]
    return Candidates(ends[:, 0], ends[:, 1], random.random(len(ends)), records)


def closure(pairs: Candidates, answers: dict[int, bool], row: int) -> bool | None:
    """What answers that do not contradict each other say of a pair: by paths, with no union-find."""
    graph = nx.Graph()
    graph.add_nodes_from(range(pairs.records))
    ends = list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    graph.add_edges_from(ends[one] for one, same in answers.items() if same)
    one, other = (nx.node_connected_component(graph, end) for end in ends[row])
    if ends[row][1] in one:
        return True
    for at, same in answers.items():
        left, right = ends[at]
        if not same and ((left in one and right in other) or (left in other and right in one)):
            return False
    return None


@pytest.mark.parametrize("seed", range(30))
def test_what_is_known_is_the_closure_of_the_answers(seed: int) -> None:
    random = np.random.default_rng(100 + seed)
    entity = random.integers(0, 4, 9)
    pairs = some_pairs(seed, 9, 30)
    answers = {
        row: bool(entity[pairs.left[row]] == entity[pairs.right[row]])
        for row in range(random.integers(1, 25))
    }
    known = Known(9)
    for row, same in answers.items():
        assert known.add(int(pairs.left[row]), int(pairs.right[row]), same)
    for row in range(len(pairs)):
        said = known.says(int(pairs.left[row]), int(pairs.right[row]))
        assert said is closure(pairs, answers, row)
    before = known.clusters().tolist()
    known.copy().add(0, 1, True)
    assert known.clusters().tolist() == before


def one_at_a_time(pairs: Candidates, answers: np.ndarray) -> set[int]:
    """The rows that are asked if each question waits for the answer to the one before."""
    asked, known = set(), Known(pairs.records)
    for row in pairs.order.tolist():
        ends = int(pairs.left[row]), int(pairs.right[row])
        if known.says(*ends) is None:
            asked.add(row)
            known.add(*ends, bool(answers[row]))
    return asked


@pytest.mark.parametrize("seed", range(20))
def test_the_first_round_publishes_nothing_that_any_answers_could_deduce(seed: int) -> None:
    """Whatever the answers, one question at a time would ask all that it publishes."""
    pairs = some_pairs(seed, 6, 10)
    published = set(to_publish(Known(6), pairs, pairs.order).tolist())
    assert len(published) >= 4
    asked = [one_at_a_time(pairs, np.array(answers)) for answers in product((True, False), repeat=10)]
    assert all(published <= one for one in asked)
    assert set.intersection(*asked) == published


@pytest.mark.parametrize("errs", [False, True])
def test_rounds_ask_as_little_as_one_question_at_a_time_and_decide_every_pair(errs: bool) -> None:
    """Also where workers err: what is asked was not known, so answers cannot contradict each other."""
    alone = together = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        pairs, entity = some_pairs(seed, 20, 120), random.integers(0, 6, 20)
        answers = (entity[pairs.left] == entity[pairs.right]).astype(float)
        answers = np.where(random.random(120) < 0.2 * errs, 1 - answers, answers)
        one_by_one = one_at_a_time(pairs, answers)
        said, rounds = np.full(120, np.nan), []

        def ask(
            rows: np.ndarray, said: np.ndarray = said, rounds: list = rounds, answers: np.ndarray = answers
        ) -> np.ndarray:
            assert np.isnan(said[rows]).all()
            rounds.append(rows)
            said[rows] = answers[rows]
            return said.copy()

        evidence = follow(deduce(pairs, np.ones(120, dtype=bool), np.full(120, np.nan)), ask)
        alone, together = alone + len(one_by_one), together + sum(map(len, rounds))
        assert len(rounds) * 3 < len(one_by_one)
        known, dropped = consistent(pairs, evidence)
        assert len(dropped) == 0
        ends = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
        assert all(known.says(*pair) is not None for pair in ends)
    assert together <= 1.02 * alone


def test_matches_first_take_the_fewest_questions() -> None:
    """Of n records in k entities: n - k that join, and one for every two entities; in the opposite order nearly all."""
    entity = np.repeat(np.arange(5), [1, 2, 3, 6, 8])
    left, right = np.triu_indices(20, 1)
    same = entity[left] == entity[right]
    asked = {}
    for name, score in (("first", same * 0.5), ("last", 0.5 - same * 0.5)):
        pairs, said = Candidates(left, right, score, 20), np.full(len(left), np.nan)

        def ask(rows: np.ndarray, said: np.ndarray = said) -> np.ndarray:
            said[rows] = same[rows]
            return said.copy()

        follow(deduce(pairs, np.ones(len(left), dtype=bool), np.full(len(left), np.nan)), ask)
        asked[name] = int((~np.isnan(said)).sum())
    assert asked["first"] == (20 - 5) + 10
    assert asked["last"] > 100


def test_of_answers_that_contradict_each_other_the_surer_count() -> None:
    pairs = Candidates(np.array([0, 1, 0, 0]), np.array([1, 2, 2, 3]), np.array([0.2, 0.9, 0.9, 0.5]), 4)
    known, dropped = consistent(pairs, np.array([0.8, 0.9, 0.0, 0.5]))
    assert dropped.tolist() == [0]  # 1 = 2 and 0 != 2 are surer than 0 = 1
    assert known.clusters().tolist() == [0, 1, 1, 2]
    assert known.says(0, 3) is None  # even answers say nothing
    known, dropped = consistent(pairs, np.array([1.0, 1.0, 0.0, np.nan]))
    assert dropped.tolist() == [0]  # as sure: the likelier by score first, then the lower row
