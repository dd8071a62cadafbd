"""Levels of difficulty with clusters of like examples inside them, and the other way about."""

from __future__ import annotations

import numpy as np

from tasks.select.levels import FEWEST, difficulty_levels, levels_in_tasks, task_clusters
from tasks.select.lsa import unit_rows


def test_levels_are_the_groups_of_ratios_in_order() -> None:
    random = np.random.default_rng(0)
    centres = np.array([0.9, 0.2, 0.6])
    owners = random.integers(3, size=120)
    found = difficulty_levels(centres[owners] + random.normal(0, 0.01, 120), 3, 0)
    assert np.array_equal(found, np.array([2, 0, 1])[owners])
    assert np.array_equal(found, difficulty_levels(centres[owners] + 0 * owners, 3, 0))


def test_few_examples_make_few_levels() -> None:
    ratios = np.random.default_rng(0).random(3 * FEWEST)
    assert set(difficulty_levels(ratios, 7, 0)) == {0, 1, 2}
    assert set(difficulty_levels(ratios[:3], 7, 0)) == {0}
    assert set(difficulty_levels(np.ones(100), 7, 0)) == {0}


def test_clusters_stay_inside_their_level_and_hold_like_texts() -> None:
    random = np.random.default_rng(1)
    levels = np.repeat([0, 1, 2], [40, 40, 10])
    topics = random.integers(2, size=90)
    vectors = unit_rows(np.eye(4)[topics] + random.normal(0, 0.05, (90, 4)))
    labels, owners = task_clusters(vectors, levels, 2, 0)
    assert owners.tolist() == [0, 0, 1, 1, 2]  # ten examples are too few for two clusters
    assert np.array_equal(owners[labels], levels)
    for cluster in range(4):
        assert len(set(topics[labels == cluster])) == 1
    assert set(labels) == set(range(5))


def test_levels_of_a_task_have_as_many_examples_and_rise_with_the_loss() -> None:
    random = np.random.default_rng(2)
    topics = np.repeat([0, 1, 2], [60, 30, 12])
    vectors = unit_rows(np.eye(4)[topics] + random.normal(0, 0.05, (102, 4)))
    losses = random.random(102) + 5 * topics  # levels over all would be the topics again
    labels, owners = levels_in_tasks(vectors, losses, 3, 3, 0)
    parts = {topic: np.unique(labels[topics == topic]) for topic in range(3)}
    assert [len(parts[topic]) for topic in range(3)] == [3, 3, 1]  # twelve are too few for two levels
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(owners)))
    for topic, size in ((0, 20), (1, 10), (2, 12)):
        own = parts[topic]
        assert owners[own].tolist() == list(range(len(own)))
        assert [int((labels == cluster).sum()) for cluster in own] == [size] * len(own)
        highest = [losses[labels == cluster].max() for cluster in own]
        lowest = [losses[labels == cluster].min() for cluster in own]
        assert all(below < above for below, above in zip(highest, lowest[1:], strict=False))


def test_few_examples_are_one_task_on_one_level() -> None:
    labels, owners = levels_in_tasks(unit_rows(np.ones((5, 2))), np.arange(5.0), 7, 3, 0)
    assert set(labels) == {0}
    assert owners.tolist() == [0]
