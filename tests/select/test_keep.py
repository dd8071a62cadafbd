"""Keeping pairs: the cheapest transport there is, by a linear programme; what another pair would save."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from tasks.select import keep
from tasks.select.keep import keep_nearest


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cheapest(pairs: np.ndarray, reference: np.ndarray, count: int) -> float:
    """The programme solved by HiGHS: no pair gives more than 1 / count, every example takes 1 / m."""
    n, m = len(pairs), len(reference)
    cost = (1.0 - pairs @ reference.T).astype(float)
    rows = np.kron(np.eye(n), np.ones((1, m)))
    columns = np.kron(np.ones((1, n)), np.eye(m))
    found = linprog(
        cost.ravel(),
        A_ub=rows,
        b_ub=np.full(n, 1 / count),
        A_eq=columns,
        b_eq=np.full(m, 1 / m),
        method="highs",
    )
    return float(found.fun)


@pytest.mark.parametrize(("n", "m", "count"), [(30, 7, 14), (40, 10, 10), (25, 3, 24), (60, 8, 30)])
def test_the_pairs_kept_move_as_cheaply_as_any(n: int, m: int, count: int) -> None:
    random = np.random.default_rng(n)
    pairs, reference = unit(random.normal(size=(n, 6))), unit(random.normal(size=(m, 6)))
    kept = keep_nearest(pairs, reference, count)
    assert kept.mask.sum() == count
    assert cheapest(pairs[kept.mask], reference, count) == pytest.approx(
        cheapest(pairs, reference, count), abs=0.02
    )
    if count % m == 0:  # no pair is shared between being kept and not, so the choice itself is exact
        assert cheapest(pairs[kept.mask], reference, count) == pytest.approx(
            cheapest(pairs, reference, count), abs=1e-6
        )


def test_a_gain_is_what_the_cost_would_rise_by_without_the_pairs_mass() -> None:
    """To first order: without a pair that gives 1 / count of the mass, the cost rises by its gain / count at the least."""
    random = np.random.default_rng(3)
    pairs, reference = unit(random.normal(size=(24, 5))), unit(random.normal(size=(6, 5)))
    kept = keep_nearest(pairs, reference, 12)
    whole = cheapest(pairs, reference, 12)
    for row in range(24):
        rise = cheapest(np.delete(pairs, row, axis=0), reference, 12) - whole
        assert rise >= kept.gain[row] / 12 - 1e-6
        if not kept.mask[row]:
            assert rise == pytest.approx(0, abs=1e-6)
            assert kept.gain[row] == pytest.approx(0, abs=1e-6)
    assert kept.gain[kept.mask].max() > 0


def test_of_very_many_pairs_those_of_a_sample_make_the_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    reference = unit(random.normal(size=(20, 6)))
    pairs = unit(random.normal(size=(3000, 6)))
    exact = keep_nearest(pairs, reference, 600)
    monkeypatch.setattr(keep, "MAX_PAIRS", 1000)
    sampled = keep_nearest(pairs, reference, 600)
    assert exact.mask.sum() == sampled.mask.sum() == 600
    assert (exact.mask & sampled.mask).sum() > 500
    again = keep_nearest(pairs, reference, 600)
    assert (again.mask == sampled.mask).all()
    assert (again.gain == sampled.gain).all()


def test_both_tasks_of_a_target_are_kept_for() -> None:
    """The mean of two opposite tasks is near to neither."""
    random = np.random.default_rng(7)
    one, other = np.eye(8)[0], np.eye(8)[1]
    reference = unit(
        np.concatenate([one + 0.1 * random.normal(size=(20, 8)), other + 0.1 * random.normal(size=(20, 8))])
    )
    between = unit((one + other) / 2 + 0.02 * random.normal(size=(50, 8)))
    pairs = np.concatenate([unit(v + 0.2 * random.normal(size=(20, 8))) for v in (one, other)] + [between])
    kept = keep_nearest(pairs, reference, 20)
    assert kept.mask[:20].sum() >= 8
    assert kept.mask[20:40].sum() >= 8


@pytest.mark.parametrize("n", [0, 1, 5])
def test_no_more_pairs_than_asked_for_are_all_kept(n: int) -> None:
    pairs = unit(np.random.default_rng(0).normal(size=(n, 4))) if n else np.zeros((0, 4), np.float32)
    kept = keep_nearest(pairs, unit(np.ones((3, 4))), 5)
    assert kept.mask.tolist() == [True] * n
    assert kept.gain.tolist() == [0.0] * n
