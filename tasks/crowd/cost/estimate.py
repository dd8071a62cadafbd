"""What a plan costs: before it is carried out, from the machine scores; after, from what was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.crowd.cost.deduction import consistent
from tasks.crowd.cost.pairs import Candidates, Plan, follow
from tasks.run.seeds import generator


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan is expected to ask.

    Args:
        questions: mean over imagined crowds; `least` and `most` are the extremes.
        rounds: mean.
    """

    questions: float
    least: int
    most: int
    rounds: float


def expected(
    plan: Callable[[], Plan[object]], pairs: Candidates, *, draws: int = 5, seed: int = 0
) -> Expected:
    """Carry a plan out with crowds that are imagined, and do not err.

    As good as the scores are: where they are no probabilities, or workers err, a real crowd is asked more or less.

    Args:
        plan: makes the plan anew.
    """
    asked, rounds = [], []
    for draw in range(draws):
        imagined = _imagined(pairs, generator(seed, "imagined crowd", draw))
        said = np.full(len(pairs), np.nan)
        published: list[int] = []

        def ask(
            rows: np.ndarray,
            said: np.ndarray = said,
            imagined: np.ndarray = imagined,
            published: list[int] = published,
        ) -> np.ndarray:
            published.append(len(rows))
            said[rows] = imagined[rows]
            return said.copy()

        follow(plan(), ask)
        asked.append(sum(published))
        rounds.append(len(published))
    return Expected(float(np.mean(asked)), min(asked), max(asked), float(np.mean(rounds)))


def _imagined(pairs: Candidates, random: np.random.Generator) -> np.ndarray:
    """What is right in an imagined world, 0 or 1, float64 (m,): each pair a match with the probability of its score, then made
    consistent, the likeliest outcomes first. Pairs drawn one by one would contradict each other, as no records do."""
    drawn = random.random(len(pairs)) < pairs.score
    known, _ = consistent(pairs, np.where(drawn, 0.5 + pairs.score / 2, pairs.score / 2))
    ends = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    return np.array([float(known.says(one, other) is True) for one, other in ends])
