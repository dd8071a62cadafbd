"""What a plan costs: before it is carried out, from the machine scores; after, from what was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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
    """Carry a plan out with crowds that are imagined: a pair is a match with the probability of its machine score.

    As good as the scores are: where they are no probabilities, or matches hang together, a real crowd is asked more or less.

    Args:
        plan: makes the plan anew.
    """
    asked, rounds = [], []
    for draw in range(draws):
        imagined = (generator(seed, "imagined crowd", draw).random(len(pairs)) < pairs.score).astype(float)
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
