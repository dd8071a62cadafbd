"""Proportions from a sample, with an interval that has its confidence, and how large the sample must be.

Intervals are Wilson's (1927): where few or all are positive they keep to their confidence much better than the normal
approximation (in the mean over shares; for a single small one it may be six points less). Strata are put together by the distances of
their limits from their shares (MOVER: Donner and Zou, 2012). A sample drawn without replacement from N counts as
n (N - 1) / (N - n) draws, so that asking everything leaves no doubt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tasks.records import BadInput

_LEAST = 2  # questions in a stratum, where it has as many
_TRUST = 0.05  # a guess of a share is not believed to be nearer to 0 or 1 than this


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share estimated from a sample.

    Args:
        share: 0 to 1.
        low, high: its confidence interval.
        asked: size of the sample.
    """

    share: float
    low: float
    high: float
    asked: int

    @property
    def error(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


def proportion(
    positive: float, asked: int, confidence: float = 0.95, population: int | None = None
) -> Proportion:
    """A share from a simple random sample.

    Args:
        positive: how many of those asked are positive.
        population: how many there are in all, if the sample was drawn from them without replacement.
    """
    share = positive / asked
    if population is not None and asked >= population:
        return Proportion(share, share, share, asked)
    size = asked if population is None else asked * (population - 1) / (population - asked)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return Proportion(share, max(0.0, middle - half), min(1.0, middle + half), asked)


def stratified(
    sizes: np.ndarray, asked: np.ndarray, positive: np.ndarray, confidence: float = 0.95
) -> Proportion:
    """A share from a random sample of every stratum.

    Args:
        sizes: of the strata, int64 (k,), each at least 1.
        asked: how many of each were asked, int64 (k,), each at least 1.
        positive: how many of those were positive, (k,).
    """
    weight = sizes / sizes.sum()
    parts = [
        proportion(float(hits), int(count), confidence, int(size))
        for hits, count, size in zip(positive, asked, sizes, strict=True)
    ]
    share, low, high = (
        np.array([getattr(part, name) for part in parts]) for name in ("share", "low", "high")
    )
    middle = float(weight @ share)
    below, above = (math.sqrt(float(np.square(weight * (share - limit)).sum())) for limit in (low, high))
    return Proportion(middle, max(0.0, middle - below), min(1.0, middle + above), int(asked.sum()))


def sample_size(
    error: float, confidence: float = 0.95, share: float = 0.5, population: int | None = None
) -> int:
    """The fewest that must be asked for an interval of +- error.

    Args:
        share: that is expected; 1/2 is the worst case.
        population: how many there are, if they are finitely many.
    """
    _check(error, confidence)
    return _fewest(
        lambda count: proportion(share * count, count, confidence, population).error <= error,
        1,
        population,
    )


def strata_by_score(scores: np.ndarray, count: int) -> np.ndarray:
    """At most `count` strata of neighbouring scores, as equal in size as equal scores allow, int64 (n,)."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, count + 1)[1:-1]))
    place = np.searchsorted(edges, scores, side="right")
    return np.asarray(np.unique(place, return_inverse=True)[1], dtype=np.int64)


def allocation(sizes: np.ndarray, guess: np.ndarray, count: int) -> np.ndarray:
    """How many of each stratum to ask: by size times expected standard deviation (Neyman), at least two of each.

    Args:
        sizes: of the strata, int64 (k,).
        guess: expected share of each, as mean machine score, float64 (k,).
        count: questions in all.

    Returns:
        int64 (k,); in sum `count`, but at least two a stratum and at most everything.
    """
    share = np.clip(guess, _TRUST, 1 - _TRUST)
    weight = sizes * np.sqrt(share * (1 - share))
    asked: np.ndarray = np.minimum(sizes, _LEAST)
    while (left := min(count, int(sizes.sum())) - int(asked.sum())) > 0:
        room = sizes - asked
        wanted = np.where(room > 0, weight, 0.0)
        more = np.minimum(room, np.floor(left * wanted / wanted.sum()).astype(np.int64))
        if not more.any():  # the rest, one by one, where most is wanted of what was given so far
            more[np.argmax(np.where(room > 0, weight / asked, -1.0))] = 1
        asked += more
    return asked


def stratified_size(
    sizes: np.ndarray, guess: np.ndarray, error: float, confidence: float = 0.95
) -> np.ndarray:
    """The fewest of each stratum that are expected to give an interval of +- error, int64 (k,).

    Args:
        sizes: of the strata, int64 (k,).
        guess: expected share of each, float64 (k,).
    """
    _check(error, confidence)

    def enough(count: int) -> bool:
        asked = allocation(sizes, guess, count)
        return stratified(sizes, asked, asked * guess, confidence).error <= error

    return allocation(sizes, guess, _fewest(enough, 1, int(sizes.sum())))


def _fewest(enough: Callable[[int], bool], low: int, high: int | None) -> int:
    """The smallest count that is enough, by bisection: what is enough stays so with more."""
    if high is None:
        high = 1
        while not enough(high):
            high *= 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _check(error: float, confidence: float) -> None:
    if not 0 < error < 1 or not 0 < confidence < 1:
        raise BadInput(
            f"a sample for an error of {error} with confidence {confidence}: give both above 0 and below 1"
        )
