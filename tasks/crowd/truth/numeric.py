"""Truth inference where answers are numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from tasks.crowd.answers import LABEL, TASK, WORKER, Numbers, codes_of, numbers_of

_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Estimated:
    """What the numbers are, as far as the answers tell.

    Args:
        value: of each task, float64 (tasks,).
        error: standard error of each, float64 (tasks,), by the variance of every worker about the values, and the weights; nan
            where the task is golden.
        quality: root mean square distance of each worker's answers from the values, float64 (workers,), in the answers' unit.
        weight: of each worker, float64 (workers,).
        iterations: rounds until nothing changed.
    """

    value: np.ndarray
    error: np.ndarray
    quality: np.ndarray
    weight: np.ndarray
    iterations: int = 1


class NumberInference(ABC):
    """A method for numbers: `infer` over codes, `fit_predict` over tables."""

    @abstractmethod
    def infer(self, answers: Numbers, golden: np.ndarray | None = None) -> Estimated:
        """What the numbers are.

        Args:
            golden: the right value of tasks where it is known, float64 (tasks,), nan elsewhere.
        """

    def fit_predict(self, data: pd.DataFrame, golden: Mapping[str, float] | None = None) -> pd.Series:
        """The value of each task.

        Args:
            data: with columns task, worker, label, a row for each answer.
            golden: right values by task.
        """
        answers = numbers_of(data[TASK], data[WORKER], data[LABEL])
        found = self.infer(answers, golden_values(answers, golden or {}))
        return pd.Series(found.value, index=pd.Index(answers.tasks, name=TASK), name="agg_label")


@dataclass(frozen=True)
class Mean(NumberInference):
    """Every answer counts alike."""

    def infer(self, answers: Numbers, golden: np.ndarray | None = None) -> Estimated:
        weight = np.ones(len(answers.workers))
        return _estimated(answers, _known(_means(answers, weight), golden), weight, golden, 1)


@dataclass(frozen=True)
class Median(NumberInference):
    """The middle answer; of two the value between them."""

    def infer(self, answers: Numbers, golden: np.ndarray | None = None) -> Estimated:
        weight = np.ones(len(answers.workers))
        return _estimated(answers, _known(_medians(answers, weight), golden), weight, golden, 1)


@dataclass(frozen=True)
class _Reweighted(NumberInference):
    """Weigh workers by their distance from the values so far, take the weighted centre, repeat.

    Args:
        most: rounds, at most.
    """

    most: int = 100

    @abstractmethod
    def weights(self, answers: Numbers, away: np.ndarray) -> np.ndarray:
        """Weight of each worker, float64 (workers,), by the signed distance of each answer, float64 (n,)."""

    def infer(self, answers: Numbers, golden: np.ndarray | None = None) -> Estimated:
        start, centre = self._centres()
        value = _known(start(answers, np.ones(len(answers.workers))), golden)
        scale = max(1.0, float(np.abs(answers.value).max()))
        taken, moved = 0, np.inf
        while taken < self.most and moved >= _SAME * scale:
            weight = self.weights(answers, answers.value - value[answers.task])
            after = _known(centre(answers, weight), golden)
            taken, moved, value = taken + 1, float(np.abs(after - value).max()), after
        return _estimated(answers, value, weight, golden, taken)

    def _centres(
        self,
    ) -> tuple[Callable[[Numbers, np.ndarray], np.ndarray], Callable[[Numbers, np.ndarray], np.ndarray]]:
        """Where values begin, and what becomes of them under weights."""
        return _means, _means


@dataclass(frozen=True)
class LfcNumbers(_Reweighted):
    """LFC_N ("Learning from Crowds", JMLR 2010, section 4): weights are precisions, 1 / mean square distance.

    Args:
        floor: of a worker's standard deviation, as a share of that of all answers about their tasks' means, so that one who agrees
            with himself alone does not decide alone.
    """

    most: int = 50
    floor: float = 0.01

    def weights(self, answers: Numbers, away: np.ndarray) -> np.ndarray:
        square = np.bincount(answers.worker, away**2, len(answers.workers))
        variance = square / np.maximum(answers.per_worker, 1)
        return np.asarray(1 / np.maximum(variance, self.floor**2 * max(_spread(answers), 1e-12)))


@dataclass(frozen=True)
class PmNumbers(_Reweighted):
    """PM (CRH, SIGMOD 2014): weight -log(distance / largest distance), the weighted median; distances in units of the task's own spread.

    Args:
        floor: of a worker's distance, as a share of the largest.
    """

    floor: float = 1e-4

    def weights(self, answers: Numbers, away: np.ndarray) -> np.ndarray:
        spread = _task_deviation(answers)[answers.task]
        scaled = np.divide(np.abs(away), spread, out=np.zeros(len(answers)), where=spread > 0)
        distance = np.bincount(answers.worker, scaled, len(answers.workers))
        share = distance / max(float(distance.max()), 1e-12)
        return np.asarray(-np.log(np.clip(share, self.floor, 1)) + 1e-7)

    def _centres(
        self,
    ) -> tuple[Callable[[Numbers, np.ndarray], np.ndarray], Callable[[Numbers, np.ndarray], np.ndarray]]:
        return _medians, _medians


@dataclass(frozen=True)
class CatdNumbers(_Reweighted):
    """CATD (VLDB 2015): weight by the lower confidence bound of a worker's precision: few answers, little weight.

    Args:
        alpha: of the two-sided interval.
        floor: as in `LfcNumbers`, of the root mean square distance.
    """

    alpha: float = 0.05
    floor: float = 0.01

    def weights(self, answers: Numbers, away: np.ndarray) -> np.ndarray:
        square = np.bincount(answers.worker, away**2, len(answers.workers))
        least = self.floor**2 * max(_spread(answers), 1e-12) * np.maximum(answers.per_worker, 1)
        bound = chi2.ppf(self.alpha / 2, np.maximum(answers.per_worker, 1))
        return np.asarray(bound / np.maximum(square, least))

    def _centres(
        self,
    ) -> tuple[Callable[[Numbers, np.ndarray], np.ndarray], Callable[[Numbers, np.ndarray], np.ndarray]]:
        return _medians, _means


NUMBER_METHODS: dict[str, Callable[[], NumberInference]] = {
    "mean": Mean,
    "median": Median,
    "lfc_n": LfcNumbers,
    "pm": PmNumbers,
    "catd": CatdNumbers,
}


def golden_values(answers: Numbers, golden: Mapping[str, float]) -> np.ndarray:
    """Values that are known, float64 (tasks,), nan elsewhere. What nobody answered is left out."""
    found = np.full(len(answers.tasks), np.nan)
    task = codes_of(list(golden), answers.tasks)
    values = np.array(list(golden.values()), dtype=float)
    found[task[task >= 0]] = values[task >= 0]
    return found


def _known(value: np.ndarray, golden: np.ndarray | None) -> np.ndarray:
    return value if golden is None else np.where(np.isnan(golden), value, golden)


def _means(answers: Numbers, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of each task, float64 (tasks,)."""
    each = weight[answers.worker]
    total = np.bincount(answers.task, each, len(answers.tasks))
    return np.asarray(np.bincount(answers.task, each * answers.value, len(answers.tasks)) / total)


def _medians(answers: Numbers, weight: np.ndarray) -> np.ndarray:
    """Weighted median of each task, float64 (tasks,); where just half of the weight lies below, the middle of both neighbours."""
    order = np.lexsort((answers.value, answers.task))
    value, task = answers.value[order], answers.task[order]
    each = weight[answers.worker[order]]
    start = np.concatenate([[0], np.cumsum(answers.per_task)[:-1]])
    # Shares of the task's own weight: what is within rounding of a half does not depend on how much others weigh.
    running = np.cumsum(each / np.bincount(task, each)[task])
    half = np.concatenate([[0.0], running])[start] + 0.5
    low = np.searchsorted(running, half - _SAME)  # the first with half of the weight at or below it
    high = np.searchsorted(running, half + _SAME, side="right")
    return np.asarray((value[low] + value[high]) / 2)


def _spread(answers: Numbers) -> float:
    """Mean square distance of answers from their tasks' means."""
    means = _means(answers, np.ones(len(answers.workers)))
    return float(((answers.value - means[answers.task]) ** 2).mean())


def _task_deviation(answers: Numbers) -> np.ndarray:
    """Standard deviation of each task's answers, float64 (tasks,)."""
    means = _means(answers, np.ones(len(answers.workers)))
    square = np.bincount(answers.task, (answers.value - means[answers.task]) ** 2, len(answers.tasks))
    return np.asarray(np.sqrt(square / answers.per_task))


def _estimated(
    answers: Numbers, value: np.ndarray, weight: np.ndarray, golden: np.ndarray | None, taken: int
) -> Estimated:
    workers, tasks = len(answers.workers), len(answers.tasks)
    away = answers.value - value[answers.task]
    square = np.bincount(answers.worker, away**2, workers)
    each = weight[answers.worker]
    # A worker of few answers is taken to vary as all do, in the weight of one answer.
    variance = ((square + max(_spread(answers), 1e-24)) / (answers.per_worker + 1))[answers.worker]
    total = np.bincount(answers.task, each, tasks)
    error = np.sqrt(np.bincount(answers.task, each**2 * variance, tasks)) / total
    if golden is not None:
        error[~np.isnan(golden)] = np.nan
    return Estimated(value, error, np.sqrt(square / np.maximum(answers.per_worker, 1)), weight, taken)
