"""Strategies: UCB's formula by hand, regret against random, batches, exhausted arms, and state that continues exactly."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tasks.records import BadInput
from tasks.select.arms import Arms, Strategy
from tasks.select.bandit import (
    BANDITS,
    BY_DOCUMENT,
    WITH_PRIOR,
    Bandit,
    arms_of,
    cluster_prior,
    make_strategy,
    thompson,
    ucb,
    ucb_prior,
)
from tasks.select.linucb import standardised
from tasks.select.ranked import RANKED, gumbel_scores, similarity_to
from tasks.select.transport import similarity_cost
from tasks.select.tsds import tsds_scores

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
    return {"labels": labels, "vectors": vectors, "centroids": centroids, "reference": reference}


def made(name: str, corpus: dict[str, Any], seed: int = 0) -> Strategy:
    """A strategy that knows of the corpus what `rounds.start` lets it know."""
    labels, vectors, reference = corpus["labels"], corpus["vectors"], corpus["reference"]
    known = np.zeros(K if name in BANDITS else N)
    if name in WITH_PRIOR:
        known = cluster_prior(vectors, labels, K, reference, seed)
    elif name == "mean-similarity":
        known = similarity_to(reference, vectors)
    elif name == "nearest-cluster":
        known = similarity_to(reference, corpus["centroids"])[labels]
    elif name == "linucb":
        known = standardised([similarity_to(reference, vectors)])
    elif name == "tsds":
        known = tsds_scores(vectors, reference)
    elif name == "dsir":
        known = gumbel_scores(10.0 * vectors @ corpus["centroids"][4], np.random.default_rng(seed))
    return make_strategy(name, labels, known, vectors, seed=seed)


def bandit(index: Any, sizes: list[int]) -> Bandit:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Bandit("ucb", Arms(labels, np.arange(len(labels))), index, np.arange(len(sizes)))


PULLS = np.array([3, 1, 0])


def test_ucb_scores_are_the_formula_worked_by_hand() -> None:
    exploit, bonus = ucb(0.5)(PULLS, PULLS, np.array([0.7, 0.2, 0.0]), 0)
    assert exploit.tolist() == [0.7, 0.2, 0.0]
    assert bonus[0] == pytest.approx(0.5 * math.sqrt(2 * math.log(4) / 3))
    assert bonus[1] == pytest.approx(0.5 * math.sqrt(2 * math.log(4) / 1))
    assert bonus[2] == math.inf


def test_the_papers_alpha_falls_with_the_pulls() -> None:
    _, bonus = ucb(None)(PULLS[:2], PULLS[:2], np.zeros(2), 0)
    assert bonus[1] == pytest.approx(1 / 5 * math.sqrt(2 * math.log(4)))


def test_a_prior_counts_as_one_pull() -> None:
    pulls = np.array([0, 3])
    exploit, bonus = ucb_prior(0.1, np.array([0.8, 0.4]))(pulls, pulls, np.array([0.0, 0.6]), 0)
    assert exploit == pytest.approx([0.8, (0.4 + 3 * 0.6) / 4])
    assert bonus == pytest.approx(
        [0.1 * math.sqrt(2 * math.log(5) / 1), 0.1 * math.sqrt(2 * math.log(5) / 4)]
    )


def test_the_latest_reward_replaces_the_one_before() -> None:
    strategy = bandit(ucb(0.0), [10, 10])
    strategy.update(0, 0.9)
    strategy.update(1, 0.5)
    strategy.update(0, 0.1)
    assert [pull.arm for pull in strategy.choose(2, 2)] == [1]
    assert strategy.pulls(0) == 2


def test_unpulled_arms_come_first_in_an_order_of_the_seed(corpus: dict[str, Any]) -> None:
    def first(seed: int) -> list[int]:
        return [pull.arm for pull in made("ucb", corpus, seed).choose(2 * K, 2)]

    assert sorted(first(0)) == list(range(K))
    assert first(0) == first(0)
    assert len({tuple(first(seed)) for seed in range(5)}) > 1


def test_a_clear_leader_is_picked_again_within_a_batch_and_merged() -> None:
    strategy = bandit(ucb(0.01), [20, 20, 20])
    for arm, reward in enumerate([0.9, 0.1, 0.1]):
        strategy.update(arm, reward)
    pulls = strategy.choose(12, 3)
    assert [(pull.arm, pull.pulls, len(pull.rows)) for pull in pulls] == [(0, 4, 12)]
    assert strategy.pulls(0) == 1  # hallucinated pulls are not kept; update tells the real ones


def test_a_pick_does_not_make_an_unread_arm_look_worthless() -> None:
    """The reward of a pick is not known yet: the arm keeps its prior until it is."""
    strategy = bandit(ucb_prior(0.05, np.array([0.6, 0.45, 0.4])), [20, 20, 20])
    assert [(pull.arm, pull.exploit) for pull in strategy.choose(6, 2)] == [(0, 0.6)]


def test_picks_shrink_the_bonus_alone() -> None:
    pulls, picked = np.array([1, 1]), np.array([4, 1])
    exploit, bonus = ucb_prior(0.1, np.array([0.5, 0.5]))(pulls, picked, np.array([0.7, 0.7]), 0)
    assert exploit.tolist() == [0.6, 0.6]
    assert bonus == pytest.approx(0.1 * np.sqrt(2 * math.log(7) / np.array([5, 2])))


def test_thompsons_draws_have_the_posteriors_mean_and_deviation() -> None:
    pulls = np.array([0, 3])
    index = thompson(0.3, np.array([0.8, 0.4]), seed=0)
    exploit, noise = zip(
        *(index(pulls, pulls, np.array([0.0, 0.6]), pick) for pick in range(2000)), strict=True
    )
    assert exploit[0] == pytest.approx([0.8, (0.4 + 3 * 0.6) / 4])
    assert np.std(noise, axis=0) == pytest.approx([0.3, 0.15], rel=0.1)
    assert np.mean(noise, axis=0) == pytest.approx([0, 0], abs=0.03)


def test_uncertain_arms_share_a_batch() -> None:
    strategy = bandit(ucb(1.0), [20, 20, 20])
    for arm in range(3):
        strategy.update(arm, 0.5)
    assert sorted(pull.arm for pull in strategy.choose(6, 2)) == [0, 1, 2]


def test_an_exhausted_arm_gives_way_to_the_next_best() -> None:
    strategy = bandit(ucb(0.0), [3, 10])
    strategy.update(0, 0.9)
    strategy.update(1, 0.1)
    pulls = strategy.choose(8, 2)
    assert [(pull.arm, len(pull.rows)) for pull in pulls] == [(0, 3), (1, 5)]
    assert strategy.remaining(0) == 0


@pytest.mark.parametrize("name", [*RANKED, *BANDITS, *BY_DOCUMENT])
def test_every_document_is_read_once_and_never_more_than_asked(corpus: dict[str, Any], name: str) -> None:
    strategy = made(name, corpus, 1)
    strategy.mark_read([5, 6, 7])
    seen = [5, 6, 7]
    while pulls := strategy.choose(12, 4):
        rows = np.concatenate([pull.rows for pull in pulls])
        assert len(rows) <= 12
        assert all((corpus["labels"][pull.rows] == pull.arm).all() for pull in pulls)
        seen += rows.tolist()
        for pull in pulls:
            strategy.update(pull.arm, 0.5, pull.pulls)
    assert sorted(seen) == list(range(N))


@pytest.mark.parametrize("name", [*RANKED, *BANDITS, *BY_DOCUMENT])
def test_state_through_json_gives_the_same_next_choices(corpus: dict[str, Any], name: str) -> None:
    def play(strategy: Any, rounds: int) -> list[Any]:
        log = []
        for _ in range(rounds):
            for pull in strategy.choose(6, 2):
                strategy.update(pull.arm, 0.1 * pull.arm, pull.pulls)
                strategy.observe(pull.rows, np.arange(len(pull.rows)) / 7)
                log.append((pull.arm, pull.rows.tolist(), pull.exploit, pull.bonus, pull.pulls))
        return log

    original = made(name, corpus, 3)
    original.mark_read([0, 1])
    play(original, 4)
    resumed = made(name, corpus, 3)
    resumed.restore(json.loads(json.dumps(original.state())))
    assert play(resumed, 5) == play(original, 5)
    assert resumed.state() == original.state()


def test_a_state_of_other_arms_is_refused_in_one_line(corpus: dict[str, Any]) -> None:
    state = made("ucb", corpus).state()
    with pytest.raises(BadInput, match="of strategy ucb"):
        made("ucb-paper", corpus).restore(state)
    with pytest.raises(BadInput, match="120 documents, here are"):
        bandit(ucb(0.1), [3, 3]).restore(state)


def test_an_unknown_strategy_names_the_known(corpus: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="nearest-cluster"):
        made("greedy", corpus)


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
        # Tells nothing of the arms: every prior is alike but for its geometry.
        known = cluster_prior(centroids[labels], labels, 8, centroids, seed)
        known = known if strategy_name in BANDITS else np.zeros(len(labels))
        strategy = make_strategy(strategy_name, labels, known, centroids[labels], alpha=0.3, seed=seed)
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
    assert made("ucb-prior", corpus).choose(4, 4)[0].arm == 4


def test_random_orders_differ_by_seed_only(corpus: dict[str, Any]) -> None:
    def order(seed: int) -> list[int]:
        return np.concatenate([p.rows for p in made("random", corpus, seed).choose(30, 30)]).tolist()

    assert order(0) == order(0) != order(1)


def test_mean_similarity_reads_the_documents_nearest_to_the_mean_reference(corpus: dict[str, Any]) -> None:
    similarity = corpus["vectors"] @ corpus["reference"].mean(axis=0)
    pulls = made("mean-similarity", corpus).choose(10, 5)
    assert {int(row) for pull in pulls for row in pull.rows} == set(np.argsort(-similarity)[:10].tolist())


def test_nearest_cluster_exhausts_one_cluster_before_the_next(corpus: dict[str, Any]) -> None:
    strategy = made("nearest-cluster", corpus)
    ranks = np.argsort(-(corpus["centroids"] @ corpus["reference"].mean(axis=0)))
    arms = [[pull.arm for pull in strategy.choose(10, 10)] for _ in range(4)]
    assert arms == [[ranks[0]], [ranks[0]], [ranks[1]], [ranks[1]]]


def test_the_similarity_prior_is_the_mean_cosine(corpus: dict[str, Any]) -> None:
    given = corpus["vectors"], corpus["labels"], K, corpus["reference"]
    prior = cluster_prior(*given, seed=0, cost=similarity_cost)
    cosines = corpus["vectors"] @ corpus["reference"].T
    assert prior == pytest.approx([cosines[corpus["labels"] == arm].mean() for arm in range(K)], abs=1e-6)


def test_gumbel_scores_draw_by_the_weights() -> None:
    weights = np.array([0.6, 0.3, 0.1])
    scores = [gumbel_scores(np.log(weights), np.random.default_rng(seed)) for seed in range(3000)]
    firsts = np.argmax(scores, axis=1)
    assert np.bincount(firsts, minlength=3) / 3000 == pytest.approx(weights, abs=0.03)


def test_warmup_rows_are_told_by_arm() -> None:
    found = arms_of([5, 1, 4], np.array([0, 0, 1, 1, 2, 2]))
    assert {arm: taken.tolist() for arm, taken in found.items()} == {0: [1], 2: [5, 4]}
