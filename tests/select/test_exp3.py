"""EXP3 against a computation by hand, and in a game whose best arm is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tasks.select.exp3 import Exp3, best_gamma


def test_two_draws_by_hand() -> None:
    bandit = Exp3(3, gamma=0.3)
    assert bandit.probabilities() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    bandit.update(1, 0.5, 1 / 3)
    first = math.exp(0.3 / 3 * 0.5 / (1 / 3))
    wanted = [0.7 / (2 + first) + 0.1, 0.7 * first / (2 + first) + 0.1, 0.7 / (2 + first) + 0.1]
    assert bandit.probabilities() == pytest.approx(wanted, rel=1e-12)
    bandit.update(0, -1.0, wanted[0])
    second = math.exp(0.3 / 3 * -1.0 / wanted[0])
    total = second + first + 1
    assert bandit.probabilities() == pytest.approx(
        [0.7 * second / total + 0.1, 0.7 * first / total + 0.1, 0.7 / total + 0.1], rel=1e-12
    )


def test_the_best_arm_is_drawn_most_and_regret_is_small() -> None:
    means = [-0.5, -0.2, 0.6, 0.0, -0.1]
    shares = []
    for seed in range(5):
        random, bandit = np.random.default_rng(seed), Exp3(5, gamma=0.1)
        draws = np.zeros(5)
        for _ in range(1500):
            probabilities = bandit.probabilities()
            arm = bandit.draw(random)
            draws[arm] += 1
            bandit.update(arm, float(np.clip(means[arm] + random.normal(0, 0.3), -1, 1)), probabilities[arm])
        assert draws.argmax() == 2
        shares.append(draws[2] / draws.sum())
    assert np.mean(shares) > 0.7


def test_it_follows_rewards_that_change() -> None:
    random, bandit = np.random.default_rng(0), Exp3(2, gamma=0.2)
    late = 0
    for turn in range(3000):
        probabilities = bandit.probabilities()
        arm = bandit.draw(random)
        best = 0 if turn < 1000 else 1
        bandit.update(arm, 0.5 if arm == best else -0.5, probabilities[arm])
        late += turn >= 2500 and arm == 1
    assert late > 400


def test_every_open_arm_keeps_its_share_and_a_closed_one_has_none() -> None:
    bandit = Exp3(4, gamma=0.2)
    bandit.weights[:] = [900.0, 0.0, -900.0, 5000.0]  # logarithms: nothing overflows
    is_open = np.array([True, True, True, False])
    found = bandit.probabilities(is_open)
    assert found[3] == 0
    assert found.sum() == pytest.approx(1)
    assert found[:3] == pytest.approx([0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3])
    with pytest.raises(ValueError, match="no arm is open"):
        bandit.probabilities(np.zeros(4, bool))


def test_raw_rewards_are_scaled_by_those_seen_so_far() -> None:
    bandit = Exp3(2)
    assert bandit.scaled(np.array([0.3])).tolist() == [0.0]
    # Whatever their order, those of a round are measured alike.
    assert bandit.scaled(np.array([0.4, 0.5, 0.3])) == pytest.approx([0.0, 1.0, -1.0])
    assert bandit.scaled(np.array([-0.5, 0.3])) == pytest.approx([-1.0, 0.6])


@pytest.mark.parametrize("raws", [[], [0.2], [0.2, -0.1]])
def test_its_state_is_json_and_gives_the_same_draws(raws: list[float]) -> None:
    bandit, again = Exp3(3), Exp3(3)
    for raw in raws:
        bandit.update(1, float(bandit.scaled(np.array([raw]))[0]), 0.3)
    again.restore(json.loads(json.dumps(bandit.state(), allow_nan=False)))
    assert np.array_equal(again.probabilities(), bandit.probabilities())
    assert again.scaled(np.array([0.15])) == bandit.scaled(np.array([0.15]))


def test_arms_begin_at_their_shares_and_move_as_rewards_say() -> None:
    shares = np.array([90.0, 9.0, 1.0])
    bandit = Exp3(3, gamma=0.2, shares=shares)
    assert bandit.probabilities() == pytest.approx(shares / 100)
    # A step is no larger than 1, however seldom the arm is drawn.
    bandit.update(2, 1.0, 0.01)
    assert bandit.weights[2] == 1.0
    weights = shares * [1, 1, math.e]
    assert bandit.probabilities() == pytest.approx(0.8 * weights / weights.sum() + 0.2 * shares / 100)
    assert bandit.probabilities(np.array([False, True, True])).sum() == pytest.approx(1)


def test_even_arms_never_meet_the_bound_of_a_step() -> None:
    bandit = Exp3(7, gamma=0.1)
    bandit.weights[0] = 50.0
    least = float(bandit.probabilities().min())
    bandit.update(3, 1.0, least)
    assert bandit.weights[3] == pytest.approx(0.1 / 7 / least)


def test_the_rate_of_exploration_falls_with_the_number_of_draws() -> None:
    assert best_gamma(1, 100) == 1.0
    assert best_gamma(10, 1) == 1.0
    # Auer et al., 2002, corollary 3.2, with the number of draws for the bound on the best gain.
    assert best_gamma(10, 1000) == pytest.approx(math.sqrt(10 * math.log(10) / ((math.e - 1) * 1000)))


def test_with_a_tilt_the_best_arm_is_drawn_more_and_not_alone() -> None:
    means, shares = [-0.5, 0.0, 0.8], np.array([2.0, 5.0, 3.0])
    bandit, random = Exp3(3, gamma=0.3, shares=shares, tilt=0.5), np.random.default_rng(0)
    for _ in range(2000):
        probabilities = bandit.probabilities()
        arm = bandit.draw(random)
        bandit.update(arm, means[arm], probabilities[arm])
    tilts = bandit.probabilities() / shares
    assert tilts[0] < tilts[1] < tilts[2]
    assert tilts[2] / tilts[0] <= math.exp(2 * 0.5)
    assert bandit.probabilities()[1] > 0.3
