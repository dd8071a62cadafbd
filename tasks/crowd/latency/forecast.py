"""When all tasks will be done: simulated campaigns of a fitted model, and their quantiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tasks.crowd.latency.simulate import Course, Plan, simulate
from tasks.crowd.latency.workers import ServiceModel
from tasks.run.seeds import generator

LOW, HIGH = 0.05, 0.95


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected.

    Args:
        courses: of the simulated campaigns; `done` is of the tasks at each share alone.
        share: of the tasks that are done, float64 (points,).
        low, middle, high: seconds until that share is done, quantiles over campaigns, float64 (points,).
    """

    courses: list[Course]
    share: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray

    @property
    def interval(self) -> tuple[float, float, float]:
        """Seconds until everything is done: low, middle, high."""
        return float(self.low[-1]), float(self.middle[-1]), float(self.high[-1])


def forecast(
    model: ServiceModel,
    plan: Plan,
    runs: int = 200,
    seed: int = 0,
    points: int = 50,
    tell: Callable[[], None] = lambda: None,
) -> Forecast:
    """Quantiles of when shares of the tasks will be done.

    Args:
        runs: simulated campaigns.
        tell: called after each.
    """
    share = np.linspace(1 / points, 1, points)
    place = np.maximum(np.ceil(share * plan.tasks).astype(int) - 1, 0)
    courses = []
    for run in range(runs):
        random = generator(seed, "latency", run)
        # Of a model that was fitted to few workers another is as likely, or the interval would be too narrow.
        course = simulate(model.drawn(random), plan, random)
        courses.append(replace(course, done=np.sort(course.done)[place]))
        tell()
    low, middle, high = np.quantile([course.done for course in courses], [LOW, 0.5, HIGH], axis=0)
    return Forecast(courses, share, low, middle, high)
