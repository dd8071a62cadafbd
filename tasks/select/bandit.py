"""Bandits over clusters, and the factory of every strategy.

An arm is a cluster, a pull reads a few of its documents, its reward (larger is better) is recomputed over all pairs
read from it. Several picks of one choice are made one after the other: what an arm is thought to be worth stays as it
was, and only its bonus shrinks as if the picks before were pulls already (Desautels et al., 2014, GP-BUCB), so that a
clear leader may be picked again while uncertain arms still get their turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tasks.records import BadInput
from tasks.run import seeds
from tasks.select.arms import Armed, Arms, Pull, Strategy
from tasks.select.linucb import LinUCB
from tasks.select.ranked import RANKED, Ranked
from tasks.select.transport import transport_cost

BANDITS = ("ucb", "ucb-paper", "ucb-prior", "thompson")
WITH_PRIOR = ("ucb-prior", "thompson")
BY_DOCUMENT = ("linucb",)


class Index(Protocol):
    """Scores all arms. Returns (exploit, bonus), each (k,).

    Args:
        pulls: of each arm so far, (k,).
        picked: the same and the picks of this choice, (k,).
        rewards: latest of each arm, (k,); 0 for an arm never pulled.
        pick: number of picks ever made, for indices that draw.
    """

    def __call__(
        self, pulls: np.ndarray, picked: np.ndarray, rewards: np.ndarray, pick: int
    ) -> tuple[np.ndarray, np.ndarray]: ...


class Bandit(Armed):
    """Pulls the arm with the largest exploit + bonus that still has documents.

    Args:
        arms: documents in a random order within each arm.
        index: the arms' scores.
        ties: order (k,) among arms with equal scores, the first to pull first.
    """

    def __init__(self, name: str, arms: Arms, index: Index, ties: np.ndarray) -> None:
        super().__init__(name, arms)
        self._index, self._ties = index, ties
        self._picks = 0

    def choose(self, documents: int, per_pull: int) -> list[Pull]:
        wanted = min(documents, int(self.arms.left.sum()))
        pulls, picked, left = self.arms.pulled, self.arms.pulled.copy(), self.arms.left.copy()
        chosen: dict[int, tuple[float, float, int, int]] = {}  # arm: exploit, bonus, picks, documents
        while wanted > 0:
            exploit, bonus = self._index(pulls, picked, self.arms.latest, self._picks)
            score = np.where(left > 0, exploit + bonus, -math.inf)
            arm = int(self._ties[np.argmax(score[self._ties])])
            count = int(min(per_pull, left[arm], wanted))
            first = (float(exploit[arm]), float(bonus[arm]), 0, 0)
            value, extra, picks, read = chosen.get(arm, first)
            chosen[arm] = (value, extra, picks + 1, read + count)
            picked[arm] += 1
            left[arm] -= count
            wanted -= count
            self._picks += 1
        return [
            Pull(arm, self.arms.take(arm, read), value, extra, picks)
            for arm, (value, extra, picks, read) in chosen.items()
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

    def index(
        pulls: np.ndarray, picked: np.ndarray, rewards: np.ndarray, pick: int
    ) -> tuple[np.ndarray, np.ndarray]:
        total = int(picked.sum())
        weight = 1 / (total + 1) if alpha is None else alpha
        bonus = weight * np.sqrt(2 * math.log(max(1, total)) / np.maximum(picked, 1))
        return rewards, np.where(picked > 0, bonus, math.inf)

    return index


def ucb_prior(alpha: float, prior: np.ndarray) -> Index:
    """UCB whose arms start with one pull that gave `prior`, so that none has to be tried to be judged.

    (prior_j + T_j reward_j) / (T_j + 1) + alpha sqrt(2 ln(sum (T + 1)) / (T_j + 1)).
    """

    def index(
        pulls: np.ndarray, picked: np.ndarray, rewards: np.ndarray, pick: int
    ) -> tuple[np.ndarray, np.ndarray]:
        counts = picked + 1
        bonus = alpha * np.sqrt(2 * math.log(int(counts.sum())) / counts)
        return (prior + pulls * rewards) / (pulls + 1), bonus

    return index


def thompson(alpha: float, prior: np.ndarray, seed: int) -> Index:
    """A draw from each arm's Normal posterior: mean (prior_j + T_j reward_j) / (T_j + 1), deviation alpha / sqrt(T_j + 1).

    Thompson sampling with Normal rewards of deviation alpha and a prior worth one pull (Agrawal and Goyal, 2013). The
    picks of one choice are independent draws of one posterior, which spreads them without pretended pulls.
    """

    def index(
        pulls: np.ndarray, picked: np.ndarray, rewards: np.ndarray, pick: int
    ) -> tuple[np.ndarray, np.ndarray]:
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
    """What a cluster promises before any of it is read: 1 - cost of its documents to the reference.

    Args:
        vectors, labels: of the documents, (n, d) and (n,).
        reference: (m, d).
        cost: between documents (n, d) and reference (m, d), of the kind that the reward is 1 minus.
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
    labels: np.ndarray,
    known: np.ndarray,
    vectors: np.ndarray,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Strategy:
    """A strategy by its name.

    Args:
        name: one of RANKED, BANDITS or BY_DOCUMENT.
        labels: cluster of each document, (n,).
        known: what is known before anything is read: of a ranked strategy the documents' scores, (n,); of a bandit the
            arms' prior rewards, (k,), from `cluster_prior` ('ucb' and 'ucb-paper' use no prior, only its length); of
            'linucb' the documents' free scores, (n, f).
        vectors: of the documents, (n, d); only 'linucb' looks at them.
        alpha: weight of the bonus, in units of reward; noise of 'thompson'.

    Raises:
        BadInput: no strategy has that name.
    """
    random = seeds.generator(seed, "strategy", name)
    shuffled = random.permutation(len(labels))
    if name in RANKED:
        return Ranked(name, labels, shuffled, known)
    if name in BY_DOCUMENT:
        return LinUCB(name, Arms(labels, shuffled), known, vectors)
    if name not in BANDITS:
        raise BadInput(f"--strategy {name}: unknown; one of {', '.join([*RANKED, *BANDITS, *BY_DOCUMENT])}")
    index = {
        "ucb": lambda: ucb(alpha),
        "ucb-paper": lambda: ucb(None),
        "ucb-prior": lambda: ucb_prior(alpha, known),
        "thompson": lambda: thompson(alpha, known, seed),
    }[name]()
    return Bandit(name, Arms(labels, shuffled, len(known)), index, random.permutation(len(known)))


def arms_of(rows: Sequence[int] | np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Rows by their arm, arms in ascending order: what a warm-up read of each."""
    rows = np.asarray(rows, dtype=np.int64)
    return {int(arm): rows[labels[rows] == arm] for arm in np.unique(labels[rows])}
