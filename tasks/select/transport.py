"""Rewards of an arm: how near the pairs extracted from it are to the reference set. Larger is better.

Optimal transport follows EQUAL (arXiv 2505.12250): OT = min over couplings of E[1 - cos(pair, reference)] with uniform
weights, solved exactly (network simplex of POT). The paper's score maximises, so the reward is 1 - OT.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from tasks.run import seeds

BLOCK = 256
MAX_REFERENCE = 1024
_BACKENDS = tuple(f"POT_BACKEND_DISABLE_{name}" for name in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"))


class Reward(Protocol):
    """What an arm has yielded so far, as a number."""

    def add(self, arm: int, pairs: np.ndarray) -> None:
        """Adds newly extracted pairs to an arm, by their vectors, or what else tells of them, (n, d); n may be 0."""
        ...

    def reward(self, arm: int) -> float:
        """Reward over all pairs of the arm; 0.0 if it has none."""
        ...

    def state(self, arm: int) -> list[float]:
        """What of the arm is finished and need not be computed again, JSON-serialisable."""
        ...

    def restore(self, arm: int, state: list[float], pairs: np.ndarray) -> None:
        """Continues an arm from its state and the vectors (n, d) of all its pairs, in the order they were added."""
        ...


class TransportReward:
    """1 - transport cost between all pairs of an arm and the reference; a pull recomputes only what it changed.

    Pairs fill blocks of `block` in arrival order. A full block is solved once and its cost kept; only the open block is
    solved again when pairs join it. The cost of an arm is the mean over its pairs of their block's cost, which is the
    cost of a coupling that respects both marginals and so never below the exact one. Time for a pull is bounded by
    `block` x `max_reference`, whatever the arm has yielded.

    Args:
        reference: unit rows (m, d).
        seed: draws `max_reference` rows of a larger reference.

    Attributes:
        solved: transport problems solved so far.
        costed: rows of pair-to-reference costs computed so far.
    """

    def __init__(
        self, reference: np.ndarray, *, block: int = BLOCK, max_reference: int = MAX_REFERENCE, seed: int = 0
    ) -> None:
        self.reference = sample_rows(reference, max_reference, seed)
        self.block = block
        self.solved = self.costed = 0
        self._finished: dict[int, list[float]] = {}
        self._open: dict[int, list[np.ndarray]] = {}
        self._open_cost: dict[int, float] = {}

    def add(self, arm: int, pairs: np.ndarray) -> None:
        finished, held = self._finished.setdefault(arm, []), self._open.setdefault(arm, [])
        for pair in np.asarray(pairs, dtype=np.float32):
            # One product per pair: a product of matrices rounds differently with their shape, and the reward must not
            # depend on how the pairs were cut into pulls.
            held.append(1.0 - self.reference @ pair)
            self.costed += 1
            self._open_cost.pop(arm, None)
            if len(held) == self.block:
                finished.append(self._solve(held))
                held.clear()

    def reward(self, arm: int) -> float:
        finished, held = self._finished.get(arm, []), self._open.get(arm, [])
        count = len(finished) * self.block + len(held)
        if not count:
            return 0.0
        if held and arm not in self._open_cost:
            self._open_cost[arm] = self._solve(held)
        total = self.block * sum(finished) + len(held) * self._open_cost.get(arm, 0.0)
        return 1.0 - total / count

    def state(self, arm: int) -> list[float]:
        """Costs of the arm's full blocks."""
        return list(self._finished.get(arm, []))

    def restore(self, arm: int, state: list[float], pairs: np.ndarray) -> None:
        self._finished[arm] = list(state)
        self.add(arm, pairs[len(state) * self.block :])

    def _solve(self, costs: list[np.ndarray]) -> float:
        self.solved += 1
        return solve_transport(np.stack(costs))


class SimilarityReward:
    """Mean over an arm's pairs of their mean cosine to the reference; the paper's ablation of transport.

    Args:
        reference: unit rows (m, d).
    """

    def __init__(self, reference: np.ndarray) -> None:
        self._mean = reference.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._sum: dict[int, float] = {}
        self._count: dict[int, int] = {}

    def add(self, arm: int, pairs: np.ndarray) -> None:
        for pair in np.asarray(pairs, dtype=np.float32):
            self._sum[arm] = self._sum.get(arm, 0.0) + float(self._mean @ pair)
            self._count[arm] = self._count.get(arm, 0) + 1

    def reward(self, arm: int) -> float:
        return self._sum[arm] / self._count[arm] if self._count.get(arm) else 0.0

    def state(self, arm: int) -> list[float]:
        """Sum of the pairs' similarities, and their number."""
        return [self._sum.get(arm, 0.0), self._count.get(arm, 0)]

    def restore(self, arm: int, state: list[float], pairs: np.ndarray) -> None:
        self._sum[arm], self._count[arm] = state[0], int(state[1])


def transport_cost(
    pairs: np.ndarray,
    reference: np.ndarray,
    *,
    block: int = BLOCK,
    max_reference: int = MAX_REFERENCE,
    seed: int = 0,
) -> float:
    """Optimal transport cost between two sets of unit vectors, uniform weights, cost 1 - cos.

    Exact up to `block` pairs and `max_reference` references; beyond, the mean over consecutive blocks (an upper bound)
    against a seeded sample of the reference.

    Args:
        pairs: (n, d), n at least 1.
        reference: (m, d), m at least 1.

    Returns:
        Cost between 0 and 2.
    """
    if not len(pairs):
        raise ValueError("transport of no pairs is undefined")
    costs = TransportReward(reference, block=block, max_reference=max_reference, seed=seed)
    costs.add(0, pairs)
    return 1.0 - costs.reward(0)


def similarity_cost(pairs: np.ndarray, reference: np.ndarray) -> float:
    """1 - mean cosine between two sets of unit vectors, (n, d) and (m, d): what SimilarityReward is 1 minus."""
    return 1.0 - float(pairs.mean(axis=0, dtype=np.float64) @ reference.mean(axis=0, dtype=np.float64))


def sample_rows(vectors: np.ndarray, size: int, seed: int) -> np.ndarray:
    """At most `size` rows in their order, float32; the same rows for the same seed.

    Raises:
        ValueError: there are no rows.
    """
    if not len(vectors):
        raise ValueError("the reference has no vectors")
    if len(vectors) > size:
        vectors = vectors[
            np.sort(seeds.generator(seed, "transport", "reference").choice(len(vectors), size, replace=False))
        ]
    return np.ascontiguousarray(vectors, dtype=np.float32)


def solve_transport(costs: np.ndarray) -> float:
    """Exact cost of moving uniform mass over rows to uniform mass over columns; costs (n, m)."""
    n, m = costs.shape
    uniform = np.full(n, 1 / n), np.full(m, 1 / m)
    # The default limit of iterations is too low for a full block; a bound far above what the simplex needs.
    return float(
        _pot().emd2(*uniform, costs.astype(np.float64), numItermax=10_000_000, check_marginals=False)
    )


def solve_partial_transport(costs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Cheapest way to move uniform mass from columns to rows of which none may take more than 1 / count.

    Exact, as a problem of whole transport: what the rows could take and no column gives comes from one more column, at no
    cost (Chapel et al., NeurIPS 2020).

    Args:
        costs: (n, m), n larger than count.

    Returns:
        Mass of each row, (n,), 1 in all; the columns' prices, (m,), and that of the one more. A row is worth taking from
        column j where costs - price_j is below minus that last price.
    """
    n, m = costs.shape
    rows = np.full(n, 1 / count)
    columns = np.append(np.full(m, 1 / m), n / count - 1)
    columns *= rows.sum() / columns.sum()
    whole = np.column_stack([costs.astype(np.float64), np.zeros(n)])
    plan, log = _pot().emd(rows, columns, whole, numItermax=10_000_000, log=True, check_marginals=False)
    return plan[:, :m].sum(axis=1), log["v"][:m], float(log["v"][m])


@lru_cache(maxsize=1)
def _pot() -> Any:
    """POT's solvers, imported without the array backends it would search for (5 s down to 1 s)."""
    before = {name: os.environ.get(name) for name in _BACKENDS}
    os.environ.update(dict.fromkeys(_BACKENDS, "1"))
    try:
        from ot import lp
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return lp
