"""IDU: the mixture that is the shortest, the change it foretells, and the smoothing, each against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tasks.select.idu import Move, Utilities, choose, loss_change, mixing, preference


def vectors(count: int = 200, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of vectors at all angles and of very different lengths."""
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, count, size))
    return one * 10 ** random.uniform(-2, 2, (count, 1)), other * 10 ** random.uniform(-2, 2, (count, 1))


def test_beta_is_where_a_numeric_search_finds_the_shortest_mixture() -> None:
    earlier, last = vectors()
    product = (earlier * last).sum(1)
    found = mixing(np.square(earlier).sum(1), np.square(last).sum(1), product)
    for h, g, beta in zip(earlier, last, found, strict=True):

        def length(at: float, h: np.ndarray = h, g: np.ndarray = g) -> float:
            return float(np.square(at * h + (1 - at) * g).sum())

        searched = minimize_scalar(length, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
        assert length(beta) <= searched.fun * (1 + 1e-9)
        assert beta == pytest.approx(searched.x, abs=1e-4)


def test_the_change_is_the_squared_length_of_the_mixture() -> None:
    earlier, last = vectors()
    for h, g in zip(earlier, last, strict=True):
        d, e, a = h @ h, g @ g, h @ g
        beta = mixing(np.array([d]), e, np.array([a]))[0]
        mixed = beta * h + (1 - beta) * g
        found = loss_change(np.array([d]), e, np.array([a / np.sqrt(d * e)]), 0.01, "mixture")[0]
        assert found == pytest.approx(-0.01 * mixed @ mixed, rel=1e-9, abs=1e-12 * min(d, e))
        # Either gradient goes down along the mixture at least as far.
        assert min(h @ mixed, g @ mixed) >= mixed @ mixed * (1 - 1e-9) - 1e-12
        assert -found <= 0.01 * min(d, e) * (1 + 1e-9)


def test_of_two_equal_gradients_nothing_is_mixed_and_of_opposed_ones_nothing_is_left() -> None:
    square = np.array([4.0])
    assert mixing(square, 4.0, square)[0] == 0.5
    assert loss_change(square, 4.0, np.array([1.0]), 0.1, "mixture")[0] == pytest.approx(-0.4)
    assert loss_change(square, 1.0, np.array([-1.0]), 0.1, "mixture")[0] == pytest.approx(0.0, abs=1e-12)
    assert loss_change(np.zeros(1), 0.0, np.zeros(1), 0.1, "mixture")[0] == 0.0


def test_the_first_order_change_is_a_product_and_may_be_upwards() -> None:
    earlier, last = vectors(5)
    squares, square = np.square(earlier).sum(1), float(last[0] @ last[0])
    products = earlier @ last[0]
    cosine = products / np.sqrt(squares * square)
    assert loss_change(squares, square, cosine, 0.1, "first-order") == pytest.approx(-0.1 * products)


def test_a_round_by_hand() -> None:
    known = Utilities(np.array([3.0, 2.0, 5.0]), dimensions=2, smoothing=0.1, change="mixture")
    known.visit(
        np.array([2, 0]),
        np.array([4.0, 2.5]),
        np.ones(2, np.int64),
        np.array([4.0, 1.0]),
        np.array([[2.0, 0.0], [0.0, 1.0]]),
    )
    known.move(Move(square=1.0, sketch=np.array([1.0, 0.0]), rate=0.2))
    # Row 2: d = 4, a = 2 > 1, so beta = 0 and the change is -.2 x 1. Row 0: at a right angle, beta = 1/2, -.2 x 1/2.
    assert known.idu.tolist() == [3.0, 2.0, 5.0]  # until the round ends
    known.settle()
    assert known.idu == pytest.approx([0.9 * 2.4 + 0.1 * 3.0, 2.0, 0.9 * 3.8 + 0.1 * 5.0])
    # A second round visits row 1 alone; the others change by what its step foretells for them.
    known.visit(np.array([1]), np.array([1.5]), np.ones(1, np.int64), np.array([1.0]), np.array([[0.0, 1.0]]))
    known.move(Move(square=1.0, sketch=np.array([0.0, 1.0]), rate=0.1))
    known.settle()
    assert known.idu[0] == pytest.approx(0.9 * (2.5 - 0.1) + 0.1 * 2.46)
    assert known.idu[1] == pytest.approx(0.9 * (1.5 - 0.1) + 0.1 * 2.0)
    assert known.idu[2] == pytest.approx(0.9 * (4.0 - 0.1 * 0.8) + 0.1 * 3.92)  # |m|^2 = 4 x 1 / (4 + 1)
    assert known.visits.tolist() == [1, 1, 1]


def test_to_first_order_the_changes_of_all_steps_since_add_up_and_no_loss_is_negative() -> None:
    known = Utilities(np.array([3.0, 2.0]), dimensions=2, smoothing=0.0)
    known.visit(
        np.array([0, 1]),
        np.array([2.5, 0.1]),
        np.ones(2, np.int64),
        np.array([1.0, 4.0]),
        np.eye(2) * [[1.0], [2.0]],
    )
    known.move(Move(square=1.0, sketch=np.array([1.0, 0.0]), rate=0.2))
    known.move(Move(square=1.0, sketch=np.array([-0.6, 0.8]), rate=0.1))
    known.settle()
    assert known.idu == pytest.approx([2.5 - 0.2 + 0.06, 0.0])


def test_a_gradient_of_no_length_changes_nothing() -> None:
    known = Utilities(np.array([1.0]), dimensions=2, smoothing=0.0)
    known.visit(np.array([0]), np.array([1.0]), np.ones(1, np.int64), np.zeros(1), np.zeros((1, 2)))
    known.move(Move(0.0, np.zeros(2), 0.0))
    known.settle()
    assert known.idu.tolist() == [1.0]


def test_the_highest_are_chosen_and_no_more_new_ones_than_may_be() -> None:
    utility = np.array([5.0, 1.0, 4.0, 3.0, 2.0])
    may, is_new = np.array([True, True, True, True, False]), np.array([True, True, False, True, True])
    assert choose(utility, may, is_new, 3, 9).tolist() == [0, 2, 3]
    assert choose(utility, may, is_new, 3, 1).tolist() == [0, 2]
    assert choose(utility, may, is_new, 3, 0).tolist() == [2]
    assert choose(utility, np.zeros(5, bool), is_new, 3, 9).tolist() == []


def test_examples_are_drawn_in_proportion_to_their_utility() -> None:
    utility, random = np.array([1.0, 2.0, 3.0, 4.0]), np.random.default_rng(0)
    first = [int(np.argmax(preference(utility, "drawn", random))) for _ in range(20_000)]
    assert np.bincount(first) / len(first) == pytest.approx(utility / 10, abs=0.015)
    alike = [int(np.argmax(preference(utility, "random", random))) for _ in range(20_000)]
    assert np.bincount(alike) / len(alike) == pytest.approx([0.25] * 4, abs=0.015)
    assert preference(utility, "highest", random).tolist() == utility.tolist()
    # An example with nothing left to learn is drawn last, and does not break the others.
    assert np.argmin(preference(np.array([0.0, 1.0, 1.0]), "drawn", random)) == 0


def test_gain_is_the_product_with_the_others_gradient_for_each_token() -> None:
    sketches = np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 3.0]])
    tokens = np.array([1, 4, 2])
    known = Utilities(np.ones(4), dimensions=2)
    known.visit(np.array([3, 0, 1]), np.ones(3), tokens, np.ones(3), sketches)
    wanted = []
    for own in (1, 0):  # rows 0 and 3
        others = np.delete(sketches * tokens[:, None], own, axis=0).sum(axis=0) / np.delete(tokens, own).sum()
        wanted.append(tokens[own] * sketches[own] @ others)
    gained, weights = known.gain(np.array([0, 3]))
    assert gained == pytest.approx(wanted, rel=1e-6)
    assert weights.tolist() == [4, 1]
    alone = Utilities(np.ones(2), dimensions=2)
    alone.visit(np.array([1]), np.ones(1), np.ones(1, np.int64), np.ones(1), np.ones((1, 2)))
    assert alone.gain(np.array([1]))[0].tolist() == [0.0]


def test_gain_for_a_reference_is_the_product_with_its_gradient() -> None:
    known = Utilities(np.ones(3), dimensions=2, reference=np.array([0.5, -1.0]))
    known.visit(
        np.array([2, 0]), np.ones(2), np.array([3, 2]), np.ones(2), np.array([[2.0, 1.0], [4.0, 0.0]])
    )
    gained, weights = known.gain(np.array([0, 2]))
    assert gained.tolist() == [2 * 2.0, 0.0]  # also of a single one: nothing is left out
    assert weights.tolist() == [2, 3]
