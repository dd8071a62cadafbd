"""How long workers take for a task: log-normal, each worker with a pace of his own; and how often a new one comes: a Poisson stream."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from tasks.records import BadInput

_WIDEST = 3.0  # standard deviation of logarithms: two workers alone would allow any


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """log seconds for a task = log(median) + a worker's own pace + what differs from task to task, both normal with mean 0.

    Args:
        median: seconds of the median worker for the median task.
        between: standard deviation of workers' paces.
        within: standard deviation from task to task.
        arrivals: new workers an hour.
        fitted: workers, and answers of theirs, that it was fitted to; None of a model that is certain.
    """

    median: float
    between: float
    within: float
    arrivals: float = 60.0
    fitted: tuple[int, int] | None = None

    @property
    def mean(self) -> float:
        """Seconds for a task, in the mean over workers and tasks."""
        return self.median * float(np.exp((self.between**2 + self.within**2) / 2))

    def paces(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Median seconds of workers drawn from the population, float64 (count,)."""
        return np.asarray(self.median * np.exp(self.between * random.standard_normal(count)))

    def drawn(self, random: np.random.Generator) -> ServiceModel:
        """A model that the times it was fitted to might have come from as well: variances over chi-square variables, as of samples of
        normal variables of so many workers and answers, then the centre; and arrivals, as of so many exponential gaps."""
        if self.fitted is None:
            return self
        workers, answers = self.fitted
        free = max(1, answers - workers)
        between = min(_WIDEST, self.between * float(np.sqrt(workers / random.chisquare(workers - 1))))
        within = min(_WIDEST, self.within * float(np.sqrt(free / random.chisquare(free))))
        centre = float(random.normal(0, np.sqrt(between**2 / workers + within**2 / answers)))
        arrivals = self.arrivals * float(random.gamma(workers - 1)) / (workers - 1)
        return ServiceModel(self.median * float(np.exp(centre)), between, within, arrivals)


def fit(worker: np.ndarray, seconds: np.ndarray, started: np.ndarray | None = None) -> ServiceModel:
    """The model that makes recorded times likeliest (maximum likelihood of a random-effects model, by L-BFGS).

    Args:
        worker: of each answer, anything that can be compared.
        seconds: that it took, float64 (n,), above 0.
        started: when it was begun, seconds, float64 (n,); tells how often new workers come, or else the model's default is left.

    Raises:
        BadInput: fewer than two workers or three times.
    """
    codes, names = pd.factorize(pd.Series(worker))
    if len(names) < 2 or len(seconds) < 3:
        raise BadInput(
            f"{len(seconds)} times of {len(names)} workers; give three times at least, of two workers or more"
        )
    logs = np.log(seconds)
    count = np.bincount(codes).astype(float)
    mean = np.bincount(codes, logs) / count
    square = np.bincount(codes, (logs - mean[codes]) ** 2)

    def surprise(parameters: np.ndarray) -> float:
        centre, between, within = parameters[0], np.exp(2 * parameters[1]), np.exp(2 * parameters[2])
        of_mean = between + within / count
        about = square.sum() / within + ((count - 1) * np.log(within)).sum() + np.log(count).sum()
        return float((about + ((mean - centre) ** 2 / of_mean + np.log(of_mean)).sum()) / 2)

    spread = max(float(logs.std()), 1e-3)
    found = minimize(
        surprise,
        np.array([logs.mean(), np.log(spread / 2), np.log(spread)]),
        method="L-BFGS-B",
        bounds=[(None, None), (-7, 4), (-7, 4)],
    )
    centre, between, within = found.x
    model = ServiceModel(
        float(np.exp(centre)), float(np.exp(between)), float(np.exp(within)), fitted=(len(names), len(logs))
    )
    arrivals = None if started is None else _arrivals(codes, started)
    return model if arrivals is None else replace(model, arrivals=arrivals)


def _arrivals(codes: np.ndarray, started: np.ndarray) -> float | None:
    """Workers who came for the first time, an hour; None if all came at once."""
    first = np.full(codes.max() + 1, np.inf)
    np.minimum.at(first, codes, started)
    span = float(first.max() - first.min())
    return (len(first) - 1) / span * 3600 if span > 0 else None
