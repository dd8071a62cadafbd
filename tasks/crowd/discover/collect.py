"""Answers one after the other: what is known after each, and when more are not worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.crowd.discover.estimate import Estimate, estimate, named

Of = Literal["answers", "entities"]


@dataclass(frozen=True, slots=True)
class Stop:
    """When enough is known.

    Args:
        coverage: share that has to be known, at the lower end of its interval.
        of: answers: the share of future answers that name a known entity; entities: the share of all entities.
        sure: probability of the intervals, two-sided.
        for_streakers: correct for workers who give very many answers.
        least: answers before which nothing is concluded.
        price, value: of an answer, and of a new entity; with both, what a next answer is expected to add has to be worth its price.
    """

    coverage: float = 0.95
    of: Of = "answers"
    sure: float = 0.95
    for_streakers: bool = True
    least: int = 30
    price: float | None = None
    value: float | None = None

    def estimate(self, worker: np.ndarray, entity: np.ndarray) -> Estimate:
        """What is known after these answers; workers are renumbered, for those who come later are none yet."""
        present = np.unique(worker, return_inverse=True)[1]
        return estimate(named(present, entity), self.sure, self.for_streakers)

    def why(self, found: Estimate) -> str:
        """Why no more answers are worth it; empty as long as they are."""
        if found.answers < self.least:
            return ""
        known = found.coverage_low if self.of == "answers" else found.completeness_low
        if known >= self.coverage:
            return f"{self.coverage:.0%} of the {self.of} are surely known"
        if self.price is not None and self.value is not None and found.new * self.value < self.price:
            return f"an answer is expected to add {found.new:.3f} entities, worth less than its price"
        return ""


def collect(worker: np.ndarray, entity: np.ndarray, stop: Stop, batch: int) -> tuple[int, str]:
    """How many of the answers, in their order, are taken before the rule says stop, and what it says; it is asked after each batch."""
    for taken in range(batch, len(worker) + 1, batch):
        if why := stop.why(stop.estimate(worker[:taken], entity[:taken])):
            return taken, why
    return len(worker), ""


def curve(worker: np.ndarray, entity: np.ndarray, stop: Stop, points: int) -> list[Estimate]:
    """Estimates after some of the answers, evenly spaced, the last after all."""
    places = np.unique(np.linspace(1, len(worker), min(points, len(worker))).round().astype(int))
    return [stop.estimate(worker[:taken], entity[:taken]) for taken in places.tolist()]
