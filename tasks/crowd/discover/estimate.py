"""How many entities there are, and what share is known, from how often each was named.

f_i is the number of entities that were named i times, n the number of answers, c that of entities. Chao and Lee, "Estimating
the number of classes via sample coverage" (JASA 87, 1992), corrected for workers who give very many answers by Trushkowsky,
Kraska, Franklin and Sarkar, "Crowdsourced enumeration queries" (ICDE 2013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtri

_AT_ONCE = 4_000_000  # numbers of a block
_FEWEST_WORKERS = 5  # for a jackknife over them


@dataclass(frozen=True, slots=True)
class Counts:
    """What the estimates are made of; numbers, or arrays of equal shape.

    Args:
        answers: n.
        entities: c.
        once, twice: f_1 and f_2; f_1 corrected where the caller wants it so.
        pairs: the sum of i (i - 1) f_i, ordered pairs of answers that name the same.
    """

    answers: np.ndarray
    entities: np.ndarray
    once: np.ndarray
    twice: np.ndarray
    pairs: np.ndarray


def counts_of(times: np.ndarray) -> Counts:
    """Counts of how often each entity was named, int64 (entities,); those never named do not count."""
    values = (
        times.sum(),
        (times > 0).sum(),
        (times == 1).sum(),
        (times == 2).sum(),
        (times * (times - 1)).sum(),
    )
    return Counts(*(np.asarray(value, dtype=float) for value in values))


def coverage(counts: Counts) -> np.ndarray:
    """The share of answers yet to come that name a known entity: 1 - f_1 / n (Good 1953, Turing's estimate)."""
    return np.asarray(np.maximum(0.0, 1 - counts.once / np.maximum(counts.answers, 1)) * (counts.answers > 0))


def variation(counts: Counts) -> np.ndarray:
    """The squared coefficient of variation of how likely entities are to be named (Chao and Lee 1992, equation 2.11)."""
    n = np.maximum(counts.answers, 2)
    return np.asarray(np.maximum(0.0, by_coverage(counts) * counts.pairs / (n * (n - 1)) - 1))


def chao92(counts: Counts) -> np.ndarray:
    """The number of entities by sample coverage (Chao and Lee 1992, equation 2.12); infinite as long as nothing was named twice."""
    known = coverage(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        number = by_coverage(counts) + counts.answers * (1 - known) / known * variation(counts)
    return np.where(known > 0, number, np.inf)


def chao84(counts: Counts) -> np.ndarray:
    """A lower bound of the number of entities (Chao, Scandinavian Journal of Statistics 11, 1984): c + f_1^2 / (2 f_2),
    bias-corrected where f_2 is 0."""
    corrected = counts.once * (counts.once - 1) / 2
    return np.asarray(
        counts.entities
        + np.where(counts.twice > 0, counts.once**2 / (2 * np.maximum(counts.twice, 1)), corrected)
    )


def by_coverage(counts: Counts) -> np.ndarray:
    """The number of entities if all were equally likely to be named: c / coverage."""
    known = coverage(counts)
    return np.where(known > 0, counts.entities / np.where(known > 0, known, 1), np.inf)


def number_of(counts: Counts) -> np.ndarray:
    """The number of entities: Chao92's, but no less than the lower bound, which it can fall below with few answers."""
    return np.asarray(np.maximum(chao92(counts), chao84(counts)))


def named(worker: np.ndarray, entity: np.ndarray) -> csr_array:
    """Who named what: 1 in (workers, entities), each pair once."""
    pairs = np.unique(np.stack([worker, entity]), axis=1)
    shape = (int(worker.max()) + 1, int(entity.max()) + 1) if len(worker) else (0, 0)
    return csr_array((np.ones(pairs.shape[1], dtype=np.int64), (pairs[0], pairs[1])), shape=shape)


def tolerant(own: np.ndarray) -> np.ndarray:
    """f_1 where no worker counts for more than two deviations above what the others contribute (Trushkowsky et al. 2013, section V).

    A worker names each entity once, and so many answers of one look like many rare entities. One entity is never too many: without
    this, where the others contribute nothing nobody could, and all would seem to be known.

    Args:
        own: entities that a worker alone named, float64 (..., workers).

    Returns:
        float64 (...).
    """
    workers = own.shape[-1]
    if workers < 3:
        return np.asarray(own.sum(axis=-1))
    sums, squares = own.sum(axis=-1, keepdims=True), (own**2).sum(axis=-1, keepdims=True)
    mean = (sums - own) / (workers - 1)
    variance = (squares - own**2 - (workers - 1) * mean**2) / (workers - 2)
    most = mean + 2 * np.sqrt(np.maximum(variance, 0))
    return np.asarray(np.minimum(own, np.maximum(1.0, most)).sum(axis=-1))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known after some answers.

    Args:
        answers, entities: n, c.
        coverage: estimated share of future answers that name a known entity; low and high of its interval.
        number: estimated number of entities (`number_of`), infinite as long as nothing can be said; low and high of its interval.
        once: f_1, corrected if that was wanted; all estimates are made of it.
        chao84, by_coverage: two other estimates of the number.
    """

    answers: int
    entities: int
    coverage: float
    coverage_low: float
    coverage_high: float
    number: float
    number_low: float
    number_high: float
    once: float
    chao84: float
    by_coverage: float

    @property
    def new(self) -> float:
        """Entities that the next answer is expected to add."""
        return 1 - self.coverage

    @property
    def completeness(self) -> float:
        """The share of all entities that is known."""
        return min(1.0, self.entities / self.number) if self.number else 0.0

    @property
    def completeness_low(self) -> float:
        return min(1.0, self.entities / self.number_high) if self.number_high else 0.0


def rounded_down(share: float, digits: int) -> float:
    """A share to show: what is not quite all is never said to be all."""
    return float(np.floor(share * 10**digits + 1e-9) / 10**digits)


def estimate(table: csr_array, sure: float = 0.95, for_streakers: bool = True) -> Estimate:
    """Coverage and number with intervals, by a jackknife over workers (each left out once), because the answers of one depend on
    each other; over single answers where there are fewer than 5 workers.

    The interval of the number is log-normal and never below c (Chao, Biometrics 43, 1987).

    Args:
        table: who named what (`named`), without empty rows.
        sure: probability of the intervals, two-sided.
        for_streakers: whether f_1 is corrected by `tolerant`.
    """
    times = np.asarray(table.sum(axis=0)).astype(np.int64).ravel()
    if not times.sum():
        return Estimate(0, 0, 0.0, 0.0, 1.0, np.inf, 0.0, np.inf, 0.0, 0.0, np.inf)
    counts = counts_of(times)
    if for_streakers:
        counts = replace(counts, once=tolerant(_alone(table, times)))
    if table.shape[0] >= _FEWEST_WORKERS:
        less, alike = _without_each_worker(table, times, for_streakers), np.ones(table.shape[0])
    else:
        less, alike = _without_each_answer(times)
    z = float(ndtri((1 + sure) / 2))
    known, number, found = float(coverage(counts)), float(number_of(counts)), int(counts.entities)
    error = z * np.sqrt(_jackknife(coverage(less), alike))
    low, high = float(found), float("inf")
    variance, missing = _jackknife(number_of(less), alike), number - found
    if np.isfinite(variance):
        factor = np.exp(z * np.sqrt(np.log1p(variance / missing**2))) if missing > 0 else 1.0
        low, high = found + missing / factor, found + missing * factor
    bounds = max(0.0, known - error), min(1.0, known + error)
    others = float(counts.once), float(chao84(counts)), float(by_coverage(counts))
    return Estimate(int(counts.answers), found, known, *bounds, number, low, high, *others)


def _alone(table: csr_array, times: np.ndarray) -> np.ndarray:
    """Entities that each worker alone named, float64 (workers,)."""
    return np.asarray(table @ (times == 1)).astype(float)


def _without_each_worker(table: csr_array, times: np.ndarray, for_streakers: bool) -> Counts:
    """Counts without each worker, arrays (workers,). Of what a worker named twice becomes once, and thrice twice."""
    workers = table.shape[0]
    whole, alone = counts_of(times), _alone(table, times)
    with_one, with_two = (np.asarray(table @ (times == number)).astype(float) for number in (2, 3))
    once = whole.once - alone + with_one
    if for_streakers:
        twice = table[:, times == 2]
        block = max(1, _AT_ONCE // workers)
        parts = []
        for first in range(0, workers, block):
            rows = np.arange(first, min(first + block, workers))
            own = alone + (twice[rows] @ twice.T).toarray()  # what each other one is then alone with
            others = np.arange(workers)[None, :] != rows[:, None]
            parts.append(tolerant(own[others].reshape(len(rows), workers - 1)))
        once = np.concatenate(parts)
    return Counts(
        whole.answers - np.asarray(table.sum(axis=1)).ravel(),
        whole.entities - alone,
        once,
        whole.twice - with_one + with_two,
        whole.pairs - 2 * np.asarray(table @ np.maximum(times - 1, 0)),
    )


def _without_each_answer(times: np.ndarray) -> tuple[Counts, np.ndarray]:
    """Counts without an answer that names an entity named i times, for each i, and how many such answers there are."""
    values, alike = np.unique(times[times > 0], return_counts=True)
    whole = counts_of(times)
    return Counts(
        np.full(len(values), whole.answers - 1),
        whole.entities - (values == 1),
        whole.once - (values == 1) + (values == 2),
        whole.twice - (values == 2) + (values == 3),
        whole.pairs - 2.0 * (values - 1),
    ), (alike * values).astype(float)


def _jackknife(values: np.ndarray, alike: np.ndarray) -> float:
    """Variance of an estimate from its values with each of several parts left out (Efron and Tibshirani 1993, equation 11.5)."""
    parts = alike.sum()
    if parts < 2 or not np.isfinite(values).all():
        return float("inf")
    mean = (alike * values).sum() / parts
    return float((parts - 1) / parts * (alike * (values - mean) ** 2).sum())
