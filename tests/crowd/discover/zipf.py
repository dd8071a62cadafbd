"""A simulated crowd that names entities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Named:
    """Who named what, in the order of the answers, and how likely each entity is to be named.

    Args:
        worker, entity: int64 (answers,).
        share: float64 (entities,), in all 1.
    """

    worker: np.ndarray
    entity: np.ndarray
    share: np.ndarray

    def coverage(self, answers: int) -> float:
        """The true share of future answers, drawn from the population, that name what these answers named."""
        return float(self.share[np.unique(self.entity[:answers])].sum())

    def completeness(self, answers: int) -> float:
        """The true share of all entities that these answers named."""
        return len(np.unique(self.entity[:answers])) / len(self.share)


def named_by_crowd(
    seed: int, entities: int, exponent: float, workers: int, each: float, streakers: int = 0, streak: int = 0
) -> Named:
    """Workers who each list entities without repeating any, drawn by a Zipf law (share ~ rank^-exponent).

    Each worker gives a geometric number of answers; workers come and go, so that their answers are mixed.

    Args:
        each: mean answers of a worker.
        streakers, streak: further workers who give this many answers in one go, at a random moment.
    """
    random = np.random.default_rng(np.random.SeedSequence([seed, 11]))
    share = np.arange(1, entities + 1) ** -float(exponent)
    share /= share.sum()
    lengths = np.minimum(random.geometric(1 / each, workers), entities // 2)
    worker, entity, moment = [], [], []
    for number, length in enumerate([*lengths.tolist(), *[min(streak, entities)] * streakers]):
        worker.append(np.full(length, number))
        entity.append(random.choice(entities, length, replace=False, p=share))
        begin = random.random()
        spread = 0.1 if number < workers else 0.0
        moment.append(begin + spread * random.random(length) + 1e-9 * np.arange(length))
    order = np.argsort(np.concatenate(moment), kind="stable")
    return Named(np.concatenate(worker)[order], np.concatenate(entity)[order], share)
