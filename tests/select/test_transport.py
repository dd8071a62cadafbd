"""Transport rewards: exactness against SciPy's solvers, the minibatch bound, and what a pull recomputes."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, linprog

from tasks.select.influence.reward import InfluenceReward
from tasks.select.transport import (
    Reward,
    SimilarityReward,
    TransportReward,
    transport_cost,
)


def unit(n: int, d: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def linear_program(costs: np.ndarray) -> float:
    n, m = costs.shape
    marginals = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    mass = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    return float(linprog(costs.ravel(), A_eq=marginals, b_eq=mass, method="highs").fun)


def test_equal_sizes_cost_the_best_assignment() -> None:
    pairs, reference = unit(40, 8, 0), unit(40, 8, 1)
    costs = 1 - pairs.astype(float) @ reference.T.astype(float)
    rows, columns = linear_sum_assignment(costs)
    assert transport_cost(pairs, reference) == pytest.approx(costs[rows, columns].mean(), abs=1e-6)


def test_unequal_sizes_cost_the_linear_program() -> None:
    pairs, reference = unit(7, 5, 2), unit(11, 5, 3)
    expected = linear_program(1 - pairs.astype(float) @ reference.T.astype(float))
    assert transport_cost(pairs, reference) == pytest.approx(expected, abs=1e-6)


def test_identical_sets_cost_nothing_whatever_their_order() -> None:
    vectors = unit(30, 6, 4)
    assert transport_cost(vectors[::-1], vectors) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("block", [1, 7, 16, 50])
def test_minibatches_never_cost_less_than_the_exact_transport(block: int) -> None:
    pairs, reference = unit(50, 6, 5), unit(30, 6, 6)
    exact = transport_cost(pairs, reference)
    estimate = transport_cost(pairs, reference, block=block)
    assert estimate >= exact - 1e-9
    assert estimate == pytest.approx(exact, abs=1e-6) if block == 50 else estimate > exact


def test_a_pull_costs_only_new_pairs_and_solves_only_the_open_block() -> None:
    reference, pairs = unit(20, 6, 7), unit(35, 6, 8)
    reward = TransportReward(reference, block=10)
    reward.add(3, pairs[:25])
    assert (reward.costed, reward.solved) == (25, 2)  # two blocks are full
    reward.reward(3)
    reward.reward(3)
    assert reward.solved == 3  # the open block, once
    reward.add(3, pairs[25:28])
    reward.reward(3)
    assert (reward.costed, reward.solved) == (28, 4)
    reward.add(9, pairs[:1])
    reward.reward(3)
    assert reward.solved == 4  # another arm's pull changes nothing here
    reward.add(3, pairs[:0])
    reward.reward(3)
    assert reward.solved == 4


@pytest.mark.parametrize("cuts", [[1] * 33, [5, 0, 20, 8], [33]])
def test_incremental_reward_is_bit_for_bit_the_one_from_scratch(cuts: list[int]) -> None:
    reference, pairs = unit(20, 16, 9), unit(33, 16, 10)
    reward = TransportReward(reference, block=10)
    start = 0
    for cut in cuts:
        reward.add(0, pairs[start : start + cut])
        reward.reward(0)
        start += cut
    scratch = TransportReward(reference, block=10)
    scratch.add(0, pairs)
    assert reward.reward(0) == scratch.reward(0) == 1 - transport_cost(pairs, reference, block=10)


@pytest.mark.parametrize("kind", [lambda ref: TransportReward(ref, block=10), SimilarityReward])
def test_a_restored_reward_goes_on_as_if_never_stopped(kind: Callable[[np.ndarray], Reward]) -> None:
    reference, pairs = unit(20, 16, 9), unit(33, 16, 10)
    whole, before, after = kind(reference), kind(reference), kind(reference)
    whole.add(0, pairs)
    before.add(0, pairs[:24])
    after.restore(0, json.loads(json.dumps(before.state(0))), pairs[:24])
    after.add(0, pairs[24:])
    assert after.reward(0) == whole.reward(0)


def test_a_restored_reward_solves_no_finished_block_again() -> None:
    reference, pairs = unit(20, 16, 9), unit(30, 16, 10)
    before, after = TransportReward(reference, block=10), TransportReward(reference, block=10)
    before.add(0, pairs[:25])
    after.restore(0, before.state(0), pairs[:25])
    after.add(0, pairs[25:29])
    after.reward(0)
    assert (before.solved, after.solved, after.costed) == (2, 1, 9)


def test_nearer_pairs_earn_more_and_no_pairs_earn_zero() -> None:
    reference = unit(30, 8, 11)
    for reward in (TransportReward(reference), SimilarityReward(reference)):
        reward.add(0, reference[:10])
        reward.add(1, -reference[:10])
        reward.add(2, reference[:0])
        assert reward.reward(0) > max(0.0, reward.reward(1))
        assert reward.reward(2) == reward.reward(5) == 0.0


def test_similarity_is_the_mean_of_all_cosines() -> None:
    reference, pairs = unit(12, 5, 12), unit(9, 5, 13)
    reward = SimilarityReward(reference)
    reward.add(0, pairs[:4])
    reward.add(0, pairs[4:])
    assert reward.reward(0) == pytest.approx(float((pairs @ reference.T).mean()), abs=1e-6)


def test_influence_is_for_each_token_and_goes_on_from_its_sums() -> None:
    reward, after = InfluenceReward(), InfluenceReward()
    reward.add(0, np.array([[6.0, 10], [-1.0, 15]]))
    reward.add(1, np.zeros((0, 2)))
    assert reward.reward(0) == pytest.approx(0.2)
    assert reward.reward(1) == reward.reward(5) == 0.0
    after.restore(0, json.loads(json.dumps(reward.state(0))), np.zeros((0, 2)))
    for one in (reward, after):
        one.add(0, np.array([[5.0, 25]]))
    assert after.reward(0) == reward.reward(0) == pytest.approx(0.2)


def test_a_large_reference_is_sampled_by_seed() -> None:
    reference, pairs = unit(300, 5, 14), unit(10, 5, 15)
    first, again, other = (
        transport_cost(pairs, reference, max_reference=20, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert TransportReward(reference, max_reference=20, seed=1).reference.shape == (20, 5)


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="no vectors"):
        TransportReward(unit(0, 4, 0))
