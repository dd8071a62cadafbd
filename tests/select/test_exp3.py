"""EXP3 against a computation by hand, and in a game whose best arm is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tasks.select.exp3 import Exp3


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
    assert bandit.scaled(0.3) == 0.0
    assert bandit.scaled(0.5) == 1.0
    assert bandit.scaled(0.4) == pytest.approx(0.0)
    assert bandit.scaled(-0.5) == -1.0
    assert bandit.scaled(0.3) == pytest.approx(0.6)


@pytest.mark.parametrize("raws", [[], [0.2], [0.2, -0.1]])
def test_its_state_is_json_and_gives_the_same_draws(raws: list[float]) -> None:
    bandit, again = Exp3(3), Exp3(3)
    for raw in raws:
        bandit.update(1, bandit.scaled(raw), 0.3)
    again.restore(json.loads(json.dumps(bandit.state(), allow_nan=False)))
    assert np.array_equal(again.probabilities(), bandit.probabilities())
    assert again.scaled(0.15) == bandit.scaled(0.15)
