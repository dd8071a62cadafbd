"""What workers did, occasion by occasion: their own support and confidence of a rule, and which rules are truly significant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tasks.crowd.patterns.rules import Rule


@dataclass(frozen=True)
class Transactions:
    """All occasions of all workers.

    Args:
        done: what was done on each occasion, bool (occasions, items), ordered by worker.
        start: first occasion of each worker, int64 (workers,).
        items, workers: names.
    """

    done: np.ndarray
    start: np.ndarray
    items: Sequence[str]
    workers: Sequence[str]

    @cached_property
    def place(self) -> Mapping[str, int]:
        return {item: at for at, item in enumerate(self.items)}

    @cached_property
    def per_worker(self) -> np.ndarray:
        """Occasions of each worker, int64 (workers,)."""
        return np.asarray(np.diff(np.append(self.start, len(self.done))))

    def of(self, worker: int) -> np.ndarray:
        """The occasions of one worker, bool (occasions of the worker, items)."""
        first = int(self.start[worker])
        return np.asarray(self.done[first : first + int(self.per_worker[worker])])

    def answer(self, worker: int, rule: Rule) -> tuple[float, float]:
        """A worker's own support and confidence; confidence is 0 where the antecedent never happened."""
        if any(item not in self.place for item in rule.items):
            return 0.0, 0.0
        mine = self.of(worker)
        left = mine[:, [self.place[item] for item in rule.antecedent]].all(axis=1)
        both = left & mine[:, [self.place[item] for item in rule.consequent]].all(axis=1)
        return float(both.mean()), float(both.sum() / max(1, left.sum()))

    def shares(self, columns: Sequence[int]) -> np.ndarray:
        """The support of a set of items among each worker's occasions, float64 (workers,)."""
        both = self.done[:, list(columns)].all(axis=1)
        return np.asarray(np.add.reduceat(both.astype(float), self.start) / self.per_worker)


def transactions_of(rows: Iterable[tuple[str, Sequence[str]]]) -> Transactions:
    """Transactions from (worker, items) of each occasion; workers and items in the order of their names."""
    by_worker: dict[str, list[Sequence[str]]] = {}
    for worker, items in rows:
        by_worker.setdefault(worker, []).append(items)
    workers = sorted(by_worker)
    names = sorted({item for occasions in by_worker.values() for items in occasions for item in items})
    place = {item: at for at, item in enumerate(names)}
    done = np.zeros((sum(map(len, by_worker.values())), len(names)), dtype=bool)
    row, start = 0, []
    for worker in workers:
        start.append(row)
        for items in by_worker[worker]:
            done[row, [place[item] for item in items]] = True
            row += 1
    return Transactions(done, np.array(start, dtype=np.int64), names, workers)


def frequent(
    done: np.ndarray, least: float, most: int, weights: np.ndarray | None = None
) -> dict[tuple[int, ...], float]:
    """All sets of up to `most` items whose support is at least `least`, level by level (Agrawal and Srikant, VLDB 1994).

    Args:
        done: bool (occasions, items).
        weights: of the occasions, float64 (occasions,), in all 1; by default all alike.

    Returns:
        Support by the places of the items, in order.
    """
    weights = np.full(len(done), 1 / max(1, len(done))) if weights is None else weights
    alone = weights @ done
    single = [item for item in range(done.shape[1]) if alone[item] >= least - 1e-12]
    found: dict[tuple[int, ...], float] = {(item,): float(alone[item]) for item in single}
    level: dict[tuple[int, ...], np.ndarray] = {(item,): done[:, item] for item in single}
    for _ in range(most - 1):
        larger: dict[tuple[int, ...], np.ndarray] = {}
        for items, column in level.items():
            later = [item for item in single if item > items[-1]]
            if not later:
                continue
            supports = (weights * column) @ done[:, later]
            for item, support in zip(later, supports.tolist(), strict=True):
                if support >= least - 1e-12:
                    found[(*items, item)] = support
                    larger[(*items, item)] = column & done[:, item]
        level = larger
    return found


def own_rules(
    data: Transactions, worker: int, theta_s: float, theta_c: float, most: int
) -> dict[Rule, float]:
    """The rules of one consequence that hold for one worker, with their support."""
    supports = frequent(data.of(worker), theta_s, most)
    found = {}
    for items, support in supports.items():
        for item in items if len(items) > 1 else ():
            left = tuple(one for one in items if one != item)
            if support >= theta_c * supports[left] - 1e-12:
                found[_named(data, left, item)] = support
    return found


def significant_rules(
    data: Transactions, theta_s: float, theta_c: float, most: int
) -> dict[Rule, tuple[float, float]]:
    """The truly significant rules of one consequence, exactly, with mean support and mean confidence over workers."""
    weights = np.repeat(1 / (len(data.workers) * data.per_worker), data.per_worker)
    found = {}
    for items, support in frequent(data.done, theta_s, most, weights).items():
        if len(items) < 2:
            continue
        both = data.shares(items)
        for item in items:
            left = tuple(one for one in items if one != item)
            antecedent = data.shares(left)
            confidence = np.divide(both, antecedent, out=np.zeros_like(both), where=antecedent > 0).mean()
            if confidence >= theta_c - 1e-12:
                found[_named(data, left, item)] = (support, float(confidence))
    return found


def _named(data: Transactions, left: Sequence[int], item: int) -> Rule:
    return Rule(tuple(sorted(data.items[one] for one in left)), (data.items[item],))
