"""Who is asked what next."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from tasks.crowd.assign import STRATEGIES, choose, closed, expected_gain, information, mean_confusion

RANDOM = np.random.default_rng(0)
POSTERIOR = RANDOM.dirichlet([0.5, 0.5, 0.5], 40)
WORKER = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])


def test_the_gain_is_that_of_all_answers_one_by_one() -> None:
    for row, gain in zip(POSTERIOR, expected_gain(POSTERIOR, WORKER), strict=True):
        expected = 0.0
        for given in range(3):
            chance = sum(row[true] * WORKER[true, given] for true in range(3))
            after = [row[true] * WORKER[true, given] / chance for true in range(3)]
            expected += chance * max(after)
        assert gain == pytest.approx(expected - row.max())


def test_one_who_answers_without_looking_is_worth_nothing() -> None:
    assert expected_gain(POSTERIOR, np.full((3, 3), 1 / 3)) == pytest.approx(np.zeros(40))
    assert expected_gain(np.zeros((0, 3)), WORKER).shape == (0,)


def test_the_information_is_that_of_all_answers_one_by_one() -> None:
    for row, nats in zip(POSTERIOR, information(POSTERIOR, WORKER), strict=True):
        after = 0.0
        for given in range(3):
            joint = row * WORKER[:, given]
            after += joint.sum() * entropy(joint / joint.sum())
        assert nats == pytest.approx(entropy(row) - after)
    assert information(POSTERIOR, np.eye(3)) == pytest.approx(entropy(POSTERIOR, axis=1))
    assert information(POSTERIOR, np.full((3, 3), 1 / 3)) == pytest.approx(np.zeros(40))


def test_large_tables_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = expected_gain(POSTERIOR, WORKER)
    monkeypatch.setattr("tasks.crowd.assign._AT_ONCE", 30)
    assert expected_gain(POSTERIOR, WORKER) == pytest.approx(whole)


def chosen(strategy: str, count: int = 5, seed: int = 0) -> list[int]:
    answered = np.arange(40) % 4
    asked = np.arange(40) >= 8
    generator = np.random.default_rng(seed)
    return choose(strategy, POSTERIOR, answered, asked, WORKER, count, generator).tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_open_tasks_are_chosen_and_each_once(strategy: str) -> None:
    assert sorted(chosen(strategy, 100)) == list(range(8, 40))
    assert len(chosen(strategy)) == 5


def test_the_best_come_first() -> None:
    gain = expected_gain(POSTERIOR, WORKER)
    assert gain[chosen("qasca")].min() >= np.sort(gain[8:])[-5] - 1e-9
    assert chosen("entropy")[0] == 8 + int(entropy(POSTERIOR[8:], axis=1).argmax())
    assert {task % 4 for task in chosen("fewest")} == {0}


def test_ties_fall_by_chance() -> None:
    assert chosen("fewest", seed=0) != chosen("fewest", seed=1)
    assert chosen("random", seed=2) == chosen("random", seed=2)


def test_a_task_is_closed_by_certainty_or_by_number() -> None:
    posterior = np.array([[0.95, 0.05], [0.6, 0.4], [0.95, 0.05], [0.5, 0.5]])
    assert closed(posterior, np.array([2, 5, 1, 0]), 0.9, most=5, least=2).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_the_mean_worker_counts_by_answers() -> None:
    confusion = np.stack([np.eye(2), np.full((2, 2), 0.5)])
    assert mean_confusion(confusion, np.array([3, 1])) == pytest.approx(
        np.array([[0.875, 0.125], [0.125, 0.875]])
    )
