"""Entities and partners, against brute force and the dense assignment."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tasks.match.clusters import entities, one_to_one
from tests.match.conftest import pairs

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20)


@settings(deadline=None)
@given(EDGES)
def test_entities_of_two_tables_are_the_connected_components(edges: list[tuple[int, int]]) -> None:
    found = entities(pairs(*edges), 8, 8)
    graph = nx.Graph([(left, 8 + right) for left, right in edges])
    graph.add_nodes_from(range(16))
    expected = {frozenset(nodes) for nodes in nx.connected_components(graph)}
    assert {frozenset(np.flatnonzero(found == one).tolist()) for one in set(found.tolist())} == expected


def test_entities_of_one_table_are_numbered_by_their_first_record() -> None:
    assert entities(pairs((3, 4), (1, 3)), 5).tolist() == [0, 1, 2, 1, 1]
    assert entities(pairs(), 3).tolist() == [0, 1, 2]


@settings(deadline=None)
@given(EDGES, st.integers(0, 100))
def test_one_to_one_has_the_largest_total_probability(edges: list[tuple[int, int]], seed: int) -> None:
    probabilities = np.random.default_rng(seed).integers(0, 11, size=len(edges)) / 10
    some = pairs(*edges)
    chosen = one_to_one(some, probabilities)
    assert len(set(some.left[chosen])) == len(set(some.right[chosen])) == len(chosen)
    dense = np.zeros((8, 8))
    np.maximum.at(dense, (some.left, some.right), probabilities)
    best = dense[linear_sum_assignment(dense, maximize=True)].sum()
    assert probabilities[chosen].sum() == pytest.approx(best)
    assert (probabilities[chosen] > 0).all()


def test_a_record_gives_up_its_best_partner_where_the_total_gains() -> None:
    some = pairs((0, 0), (0, 1), (1, 0))
    assert one_to_one(some, np.array([0.9, 0.8, 0.7])).tolist() == [1, 2]


def test_of_a_pair_given_twice_the_likelier_is_taken() -> None:
    assert one_to_one(pairs((5, 9), (5, 9)), np.array([0.4, 0.6])).tolist() == [1]


def test_no_pairs_have_no_partners() -> None:
    assert one_to_one(pairs(), np.zeros(0)).tolist() == []
