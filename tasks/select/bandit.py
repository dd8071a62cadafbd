"""Bandits over clusters, and the factory of every strategy.

An arm is a cluster, a pull reads a few of its documents, its reward (larger is better) is recomputed over all pairs
read from it. Several picks of one choice are made one after the other, each counted as a pull whose reward is not known
yet (a hallucinated update), so that a clear leader may be picked again while uncertain arms still get their turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tasks.records import BadInput
from tasks.run import seeds
from tasks.select.arms import Armed, Arms, Pull, Strategy
from tasks.select.ranked import Ranked, gumbel_top_k, similarity_to
from tasks.select.transport import transport_cost

RANKED = ("random", "everything", "mean-similarity", "dsir", "nearest-cluster")
BANDITS = ("ucb", "ucb-paper", "ucb-prior", "thompson")


class Index(Protocol):
    """Scores all arms from their pulls so far and their latest rewards, each (k,). Returns (exploit, bonus)."""

    def __call__(
        self, pulls: np.ndarray, rewards: np.ndarray, pick: int
    ) -> tuple[np.ndarray, np.ndarray]: ...


class Bandit(Armed):
    """Pulls the arm with the largest exploit + bonus that still has documents.

    Args:
        arms: documents in a random order within each arm.
        index: the arms' scores; `pick` counts every pick ever made, for indices that draw.
        ties: order (k,) among arms with equal scores, the first to pull first.
    """

    def __init__(self, name: str, arms: Arms, index: Index, ties: np.ndarray) -> None:
        super().__init__(name, arms)
        self._index, self._ties = index, ties
        self._picks = 0

    def choose(self, pulls: int, per_pull: int) -> list[Pull]:
        wanted = min(pulls * per_pull, int(self.arms.left.sum()))
        pulled, left = self.arms.pulled.copy(), self.arms.left.copy()
        chosen: dict[int, tuple[float, float, int, int]] = {}  # arm: exploit, bonus, picks, documents
        while wanted > 0:
            exploit, bonus = self._index(pulled, self.arms.latest, self._picks)
            score = np.where(left > 0, exploit + bonus, -math.inf)
            arm = int(self._ties[np.argmax(score[self._ties])])
            count = int(min(per_pull, left[arm], wanted))
            first = (float(exploit[arm]), float(bonus[arm]), 0, 0)
            value, extra, picks, documents = chosen.get(arm, first)
            chosen[arm] = (value, extra, picks + 1, documents + count)
            pulled[arm] += 1
            left[arm] -= count
            wanted -= count
            self._picks += 1
        return [
            Pull(arm, self.arms.take(arm, documents), value, extra, picks)
            for arm, (value, extra, picks, documents) in chosen.items()
        ]

    def state(self) -> dict[str, Any]:
        return {**super().state(), "picks": self._picks}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._picks = int(state["picks"])


def ucb(alpha: float | None) -> Index:
    """Reward + alpha sqrt(2 ln(sum T) / T_j); an arm never pulled comes first.

    Args:
        alpha: weight of the bonus; None for the paper's 1 / (sum T + 1) (EQUAL, arXiv 2505.12250, algorithm 1).
    """

    def index(pulls: np.ndarray, rewards: np.ndarray, pick: int) -> tuple[np.ndarray, np.ndarray]:
        total = int(pulls.sum())
        weight = 1 / (total + 1) if alpha is None else alpha
        bonus = weight * np.sqrt(2 * math.log(max(1, total)) / np.maximum(pulls, 1))
        return rewards, np.where(pulls > 0, bonus, math.inf)

    return index


def ucb_prior(alpha: float, prior: np.ndarray) -> Index:
    """UCB whose arms start with one pull that gave `prior`, so that none has to be tried to be judged.

    (prior_j + T_j reward_j) / (T_j + 1) + alpha sqrt(2 ln(sum (T + 1)) / (T_j + 1)).
    """

    def index(pulls: np.ndarray, rewards: np.ndarray, pick: int) -> tuple[np.ndarray, np.ndarray]:
        counts = pulls + 1
        return (prior + pulls * rewards) / counts, alpha * np.sqrt(2 * math.log(int(counts.sum())) / counts)

    return index


def thompson(alpha: float, prior: np.ndarray, seed: int) -> Index:
    """A draw from each arm's Normal posterior: mean (prior_j + T_j reward_j) / (T_j + 1), deviation alpha / sqrt(T_j + 1).

    Thompson sampling with Normal rewards of deviation alpha and a prior worth one pull (Agrawal and Goyal, 2013).
    """

    def index(pulls: np.ndarray, rewards: np.ndarray, pick: int) -> tuple[np.ndarray, np.ndarray]:
        counts = pulls + 1
        noise = seeds.generator(seed, "thompson", pick).standard_normal(len(counts))
        return (prior + pulls * rewards) / counts, alpha * noise / np.sqrt(counts)

    return index


def cluster_prior(
    vectors: np.ndarray,
    labels: np.ndarray,
    count: int,
    reference: np.ndarray,
    seed: int,
    cost: Callable[[np.ndarray, np.ndarray], float] = transport_cost,
    documents: int = 48,
    references: int = 128,
) -> np.ndarray:
    """What a cluster promises before any of it is read: 1 - transport cost of its documents to the reference.

    Args:
        vectors, labels: of the documents, (n, d) and (n,).
        reference: (m, d).
        documents, references: at most this many of each are used, drawn by seed.

    Returns:
        (count,); 0 for a cluster without documents.
    """
    random = seeds.generator(seed, "prior")
    if len(reference) > references:
        reference = reference[np.sort(random.choice(len(reference), references, replace=False))]
    by_arm = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[by_arm], np.arange(count + 1))
    prior = np.zeros(count)
    for arm in range(count):
        rows = by_arm[bounds[arm] : bounds[arm + 1]]
        if len(rows):
            drawn = np.sort(random.permutation(rows)[:documents])
            prior[arm] = 1 - cost(np.asarray(vectors[drawn]), reference)
    return prior


def make_strategy(
    name: str,
    *,
    labels: np.ndarray,
    vectors: np.ndarray,
    centroids: np.ndarray,
    reference: np.ndarray,
    importance: np.ndarray | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> Strategy:
    """A strategy by its name.

    Args:
        name: one of RANKED or BANDITS.
        labels: cluster of each document, (n,).
        vectors: of the documents, (n, d), unit rows; may be memory-mapped.
        centroids: of the clusters, (k, d).
        reference: vectors of the reference examples, (m, d), unit rows.
        importance: log importance weight of each document, (n,), from `dsir.importance`; only 'dsir' needs it.
        alpha: weight of the bonus, in units of reward; noise of 'thompson'.

    Raises:
        BadInput: no strategy has that name.
    """
    count = len(centroids)
    random = seeds.generator(seed, "strategy", name)
    shuffled = random.permutation(len(labels))
    if name in BANDITS:
        prior = np.zeros(count)
        if name in ("ucb-prior", "thompson"):
            prior = cluster_prior(vectors, labels, count, reference, seed)
        index = {
            "ucb": lambda: ucb(alpha),
            "ucb-paper": lambda: ucb(None),
            "ucb-prior": lambda: ucb_prior(alpha, prior),
            "thompson": lambda: thompson(alpha, prior, seed),
        }[name]()
        return Bandit(name, Arms(labels, shuffled, count), index, random.permutation(count))
    if name not in RANKED:
        raise BadInput(f"--strategy {name}: unknown; one of {', '.join([*RANKED, *BANDITS])}")
    order, score = _rank(name, labels, vectors, centroids, reference, importance, shuffled, random)
    return Ranked(name, labels, order, score, count)


def _rank(
    name: str,
    labels: np.ndarray,
    vectors: np.ndarray,
    centroids: np.ndarray,
    reference: np.ndarray,
    importance: np.ndarray | None,
    shuffled: np.ndarray,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Order (n,) and score (n,) of a ranked strategy; equal scores in random order."""
    if name == "random":
        return shuffled, np.zeros(len(labels))
    if name == "everything":
        return np.arange(len(labels)), np.zeros(len(labels))
    if name == "dsir":
        if importance is None:
            raise ValueError("strategy dsir needs the documents' importance weights")
        return gumbel_top_k(importance, random), importance
    if name == "mean-similarity":
        score = similarity_to(reference, vectors)
        return shuffled[np.argsort(-score[shuffled], kind="stable")], score
    similarity = similarity_to(reference, centroids)
    rank = np.empty(len(centroids), dtype=np.int64)  # clusters of equal similarity must not be mixed
    rank[np.argsort(-similarity, kind="stable")] = np.arange(len(centroids))
    return shuffled[np.argsort(rank[labels[shuffled]], kind="stable")], similarity[labels]


def arms_of(rows: Sequence[int] | np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Rows by their arm, arms in ascending order: what a warm-up read of each."""
    rows = np.asarray(rows, dtype=np.int64)
    return {int(arm): rows[labels[rows] == arm] for arm in np.unique(labels[rows])}
