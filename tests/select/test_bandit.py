"""Strategies: UCB's formula by hand, regret against random, batches, exhausted arms, and state that continues exactly."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tasks.records import BadInput
from tasks.select.bandit import (
    BANDITS,
    RANKED,
    Arms,
    Bandit,
    arms_of,
    cluster_prior,
    make_strategy,
    ucb,
    ucb_prior,
)

K, N = 6, 120


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def corpus() -> dict[str, Any]:
    """Six clusters of twenty documents; the reference lies at cluster 4."""
    random = np.random.default_rng(0)
    centroids = unit(random.normal(size=(K, 16)))
    labels = np.tile(np.arange(K), N // K)
    vectors = unit(centroids[labels] + 0.15 * random.normal(size=(N, 16)))
    reference = unit(centroids[4] + 0.15 * random.normal(size=(15, 16)))
    return {
        "labels": labels,
        "vectors": vectors,
        "centroids": centroids,
        "reference": reference,
        "importance": vectors @ centroids[4] * 10.0,
    }


def bandit(index: Any, sizes: list[int]) -> Bandit:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Bandit("ucb", Arms(labels, np.arange(len(labels))), index, np.arange(len(sizes)))


def test_ucb_scores_are_the_formula_worked_by_hand() -> None:
    exploit, bonus = ucb(0.5)(np.array([3, 1, 0]), np.array([0.7, 0.2, 0.0]), 0)
    assert exploit.tolist() == [0.7, 0.2, 0.0]
    assert bonus[0] == pytest.approx(0.5 * math.sqrt(2 * math.log(4) / 3))
    assert bonus[1] == pytest.approx(0.5 * math.sqrt(2 * math.log(4) / 1))
    assert bonus[2] == math.inf


def test_the_papers_alpha_falls_with_the_pulls() -> None:
    _, bonus = ucb(None)(np.array([3, 1]), np.zeros(2), 0)
    assert bonus[1] == pytest.approx(1 / 5 * math.sqrt(2 * math.log(4)))


def test_a_prior_counts_as_one_pull() -> None:
    exploit, bonus = ucb_prior(0.1, np.array([0.8, 0.4]))(np.array([0, 3]), np.array([0.0, 0.6]), 0)
    assert exploit == pytest.approx([0.8, (0.4 + 3 * 0.6) / 4])
    assert bonus == pytest.approx(
        [0.1 * math.sqrt(2 * math.log(5) / 1), 0.1 * math.sqrt(2 * math.log(5) / 4)]
    )


def test_the_latest_reward_replaces_the_one_before() -> None:
    strategy = bandit(ucb(0.0), [10, 10])
    strategy.update(0, 0.9)
    strategy.update(1, 0.5)
    strategy.update(0, 0.1)
    assert [pull.arm for pull in strategy.choose(1, 2)] == [1]
    assert strategy.pulls(0) == 2


def test_unpulled_arms_come_first_in_an_order_of_the_seed(corpus: dict[str, Any]) -> None:
    def first(seed: int) -> list[int]:
        return [pull.arm for pull in make_strategy("ucb", **corpus, seed=seed).choose(K, 2)]

    assert sorted(first(0)) == list(range(K))
    assert first(0) == first(0)
    assert len({tuple(first(seed)) for seed in range(5)}) > 1


def test_a_clear_leader_is_picked_again_within_a_batch_and_merged() -> None:
    strategy = bandit(ucb(0.01), [20, 20, 20])
    for arm, reward in enumerate([0.9, 0.1, 0.1]):
        strategy.update(arm, reward)
    pulls = strategy.choose(4, 3)
    assert [(pull.arm, pull.pulls, len(pull.rows)) for pull in pulls] == [(0, 4, 12)]
    assert strategy.pulls(0) == 1  # hallucinated pulls are not kept; update tells the real ones


def test_uncertain_arms_share_a_batch() -> None:
    strategy = bandit(ucb(1.0), [20, 20, 20])
    for arm in range(3):
        strategy.update(arm, 0.5)
    assert sorted(pull.arm for pull in strategy.choose(3, 2)) == [0, 1, 2]


def test_an_exhausted_arm_gives_way_to_the_next_best() -> None:
    strategy = bandit(ucb(0.0), [3, 10])
    strategy.update(0, 0.9)
    strategy.update(1, 0.1)
    pulls = strategy.choose(4, 2)
    assert [(pull.arm, len(pull.rows)) for pull in pulls] == [(0, 3), (1, 5)]
    assert strategy.remaining(0) == 0


@pytest.mark.parametrize("name", [*RANKED, *BANDITS])
def test_every_document_is_read_once_and_never_more_than_asked(corpus: dict[str, Any], name: str) -> None:
    strategy = make_strategy(name, **corpus, seed=1)
    strategy.mark_read([5, 6, 7])
    seen = [5, 6, 7]
    while pulls := strategy.choose(3, 4):
        rows = np.concatenate([pull.rows for pull in pulls])
        assert len(rows) <= 12
        assert all((corpus["labels"][pull.rows] == pull.arm).all() for pull in pulls)
        seen += rows.tolist()
        for pull in pulls:
            strategy.update(pull.arm, 0.5, pull.pulls)
    assert sorted(seen) == list(range(N))


@pytest.mark.parametrize("name", [*RANKED, *BANDITS])
def test_state_through_json_gives_the_same_next_choices(corpus: dict[str, Any], name: str) -> None:
    def play(strategy: Any, rounds: int) -> list[Any]:
        log = []
        for _ in range(rounds):
            for pull in strategy.choose(3, 2):
                strategy.update(pull.arm, 0.1 * pull.arm, pull.pulls)
                log.append((pull.arm, pull.rows.tolist(), pull.exploit, pull.bonus, pull.pulls))
        return log

    original = make_strategy(name, **corpus, seed=3)
    original.mark_read([0, 1])
    play(original, 4)
    resumed = make_strategy(name, **corpus, seed=3)
    resumed.restore(json.loads(json.dumps(original.state())))
    assert play(resumed, 5) == play(original, 5)
    assert resumed.state() == original.state()


def test_a_state_of_other_arms_is_refused_in_one_line(corpus: dict[str, Any]) -> None:
    state = make_strategy("ucb", **corpus).state()
    with pytest.raises(BadInput, match="of strategy ucb"):
        make_strategy("ucb-paper", **corpus).restore(state)
    with pytest.raises(BadInput, match="120 documents, here are"):
        bandit(ucb(0.1), [3, 3]).restore(state)


def test_an_unknown_strategy_names_the_known(corpus: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="nearest-cluster"):
        make_strategy("greedy", **corpus)


@pytest.mark.parametrize("name", BANDITS)
@pytest.mark.parametrize("draw", ["bernoulli", "gaussian"])
def test_regret_is_below_randoms(name: str, draw: str) -> None:
    """Stationary arms whose reward is the mean of what was drawn from them so far, as for an arm's pairs."""
    means = np.array([0.1, 0.3, 0.2, 0.8, 0.5, 0.4, 0.25, 0.35])
    pulls = 150
    labels = np.repeat(np.arange(8), 200)
    centroids = unit(np.random.default_rng(5).normal(size=(8, 8)))

    def sample(arm: int, random: np.random.Generator) -> float:
        return (
            float(random.random() < means[arm])
            if draw == "bernoulli"
            else float(random.normal(means[arm], 0.3))
        )

    def regret(strategy_name: str, seed: int) -> float:
        strategy = make_strategy(
            strategy_name,
            labels=labels,
            vectors=centroids[labels],
            centroids=centroids,
            reference=centroids,  # tells nothing of the arms: every prior is alike but for its geometry
            alpha=0.3,
            seed=seed,
        )
        random = np.random.default_rng(seed)
        sums, counts, total = np.zeros(8), np.zeros(8), 0.0
        for _ in range(pulls):
            for pull in strategy.choose(1, 1):
                sums[pull.arm] += sample(pull.arm, random)
                counts[pull.arm] += 1
                total += float(means.max() - means[pull.arm])
                strategy.update(pull.arm, sums[pull.arm] / counts[pull.arm])
        return total

    own = np.mean([regret(name, seed) for seed in range(6)])
    assert own < 0.7 * np.mean([regret("random", seed) for seed in range(6)])


def test_the_prior_favours_the_cluster_at_the_reference(corpus: dict[str, Any]) -> None:
    prior = cluster_prior(corpus["vectors"], corpus["labels"], K + 1, corpus["reference"], seed=0)
    assert prior.argmax() == 4
    assert prior[K] == 0.0  # a cluster without documents
    assert make_strategy("ucb-prior", **corpus).choose(1, 4)[0].arm == 4


def test_random_orders_differ_by_seed_only(corpus: dict[str, Any]) -> None:
    def order(seed: int) -> list[int]:
        return np.concatenate(
            [p.rows for p in make_strategy("random", **corpus, seed=seed).choose(1, 30)]
        ).tolist()

    assert order(0) == order(0) != order(1)


def test_mean_similarity_reads_the_documents_nearest_to_the_mean_reference(corpus: dict[str, Any]) -> None:
    similarity = corpus["vectors"] @ corpus["reference"].mean(axis=0)
    pulls = make_strategy("mean-similarity", **corpus).choose(2, 5)
    assert {int(row) for pull in pulls for row in pull.rows} == set(np.argsort(-similarity)[:10].tolist())


def test_nearest_cluster_exhausts_one_cluster_before_the_next(corpus: dict[str, Any]) -> None:
    strategy = make_strategy("nearest-cluster", **corpus)
    ranks = np.argsort(-(corpus["centroids"] @ corpus["reference"].mean(axis=0)))
    arms = [[pull.arm for pull in strategy.choose(1, 10)] for _ in range(4)]
    assert arms == [[ranks[0]], [ranks[0]], [ranks[1]], [ranks[1]]]


def test_everything_reads_in_the_order_of_the_table(corpus: dict[str, Any]) -> None:
    rows = np.concatenate([pull.rows for pull in make_strategy("everything", **corpus).choose(1, 7)])
    assert sorted(rows.tolist()) == list(range(7))


def test_gumbel_top_k_first_draws_follow_the_weights() -> None:
    from tasks.select.ranked import gumbel_top_k

    weights = np.array([0.6, 0.3, 0.1])
    firsts = [gumbel_top_k(np.log(weights), np.random.default_rng(seed))[0] for seed in range(3000)]
    assert np.bincount(firsts, minlength=3) / 3000 == pytest.approx(weights, abs=0.03)


def test_warmup_rows_are_told_by_arm() -> None:
    found = arms_of([5, 1, 4], np.array([0, 0, 1, 1, 2, 2]))
    assert {arm: taken.tolist() for arm, taken in found.items()} == {0: [1], 2: [5, 4]}
