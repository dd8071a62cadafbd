"""What every method of truth inference gives, and the calls that users of other libraries know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.crowd.answers import LABEL, TASK, WORKER, Answers, answers_of, codes_of

TOLERANCE = 1e-5  # of a probability, from one step to the next
UNKNOWN = -1  # the label of a task that is not golden
PLAIN = 20  # steps before the first leap: the early ones are large anyway, and decide where it ends

_LEAP = 4.0  # the longest at first, and what it grows by where it was not too long


@dataclass(frozen=True, slots=True)
class Inferred:
    """What is right, as far as the answers tell.

    Args:
        posterior: of each label of each task, float64 (tasks, labels), rows sum to 1. A method that only weighs votes has their
            shares here.
        quality: expected share of right answers of each worker under the posterior, float64 (workers,), in [0, 1].
        iterations: steps until nothing changed.
        confusion: probability of each answer (last axis) by what is right, float64 (workers, labels, labels), where a method has it.
        weight: what a method thinks of each worker on its own scale, float64 (workers,), where it has one.
    """

    posterior: np.ndarray
    quality: np.ndarray
    iterations: int = 1
    confusion: np.ndarray | None = None
    weight: np.ndarray | None = None

    @property
    def best(self) -> np.ndarray:
        """The likeliest label of each task, int64 (tasks,); of equally likely ones the first in the order of labels."""
        likeliest = self.posterior > self.posterior.max(axis=1, keepdims=True) - 1e-12
        return np.asarray(likeliest.argmax(axis=1))

    @property
    def confidence(self) -> np.ndarray:
        """Its probability, float64 (tasks,)."""
        return np.asarray(self.posterior.max(axis=1))


class TruthInference(ABC):
    """A method: `infer` over codes, `fit_predict` over tables."""

    @abstractmethod
    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        """What is right.

        Args:
            golden: the right label of tasks where it is known, int64 (tasks,), UNKNOWN elsewhere. They are not inferred, and show how
                reliable workers are.
        """

    def fit_predict(self, data: pd.DataFrame, golden: Mapping[str, str] | None = None) -> pd.Series:
        """The likeliest label of each task.

        Args:
            data: with columns task, worker, label, a row for each answer.
            golden: right labels by task.
        """
        answers, found = self._fit(data, golden)
        best = np.asarray(answers.labels, dtype=object)[found.best]
        return pd.Series(best, index=pd.Index(answers.tasks, name=TASK), name="agg_label")

    def fit_predict_proba(self, data: pd.DataFrame, golden: Mapping[str, str] | None = None) -> pd.DataFrame:
        """Probabilities: a row for each task, a column for each label. See `fit_predict`."""
        answers, found = self._fit(data, golden)
        return pd.DataFrame(found.posterior, index=pd.Index(answers.tasks, name=TASK), columns=answers.labels)

    def _fit(self, data: pd.DataFrame, golden: Mapping[str, str] | None) -> tuple[Answers, Inferred]:
        answers = answers_of(data[TASK], data[WORKER], data[LABEL])
        return answers, self.infer(answers, golden_of(answers, golden or {}))


def golden_of(answers: Answers, golden: Mapping[str, str]) -> np.ndarray:
    """Codes of the labels that are known, int64 (tasks,), UNKNOWN elsewhere. What nobody answered, or is no label, is left out."""
    found = np.full(len(answers.tasks), UNKNOWN, dtype=np.int64)
    task = codes_of(list(golden), answers.tasks)
    label = codes_of(list(golden.values()), answers.labels)
    usable = (task >= 0) & (label >= 0)
    found[task[usable]] = label[usable]
    return found


def vote_shares(answers: Answers) -> np.ndarray:
    """Share of each label among a task's answers, float64 (tasks, labels); even where there are none."""
    return normalised(answers.votes())


def normalised(weights: np.ndarray) -> np.ndarray:
    """Rows that sum to 1; even where there is nothing."""
    totals = weights.sum(axis=1, keepdims=True)
    even = np.full_like(weights, 1 / weights.shape[1])
    return np.asarray(np.divide(weights, totals, out=even, where=totals > 0))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities by row."""
    found = np.ascontiguousarray(
        logits.T
    )  # rows are short: reducing over the long axis is many times as fast
    found -= found.max(axis=0)
    np.exp(found, out=found)
    found /= found.sum(axis=0)
    return np.asarray(found.T.copy())


def hold(posterior: np.ndarray, golden: np.ndarray | None) -> np.ndarray:
    """What is known stays known: golden rows set to their label, in place."""
    if golden is not None and (known := np.flatnonzero(golden != UNKNOWN)).size:
        posterior[known] = 0
        posterior[known, golden[known]] = 1
    return posterior


def evidence(logits: np.ndarray, golden: np.ndarray | None) -> float:
    """Log of the exponentials' mean over labels, summed over tasks; of a golden task its label's logit."""
    top = logits.max(axis=1)
    tasks = top + np.log(np.exp(logits - top[:, None]).mean(axis=1))
    if golden is not None and (known := np.flatnonzero(golden != UNKNOWN)).size:
        tasks[known] = logits[known, golden[known]]
    return float(tasks.sum())


def expected_right(answers: Answers, posterior: np.ndarray) -> np.ndarray:
    """Answers of each worker that are right, as the posterior expects, float64 (workers,)."""
    right = posterior.ravel()[answers.cell]
    return np.bincount(answers.worker, right, len(answers.workers))


def quality_of(answers: Answers, posterior: np.ndarray) -> np.ndarray:
    """Expected share of right answers, float64 (workers,)."""
    return np.asarray(np.clip(expected_right(answers, posterior) / np.maximum(answers.per_worker, 1), 0, 1))


def settle(
    posterior: np.ndarray,
    step: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
    most: int,
    plain: int = PLAIN,
) -> tuple[np.ndarray, int]:
    """Repeat a step of expectation maximisation until it changes no probability by `tolerance`. Returns posterior and steps.

    After `plain` steps by SQUAREM (Varadhan and Roland, Scandinavian Journal of Statistics, 2008, scheme S3): two steps r and r + v
    are carried on to p + 2 a r + a^2 v, a = |r| / |v|, which ends where plain steps do after about a third of them. Where the next step is
    then much longer than the last was, the leap is taken back and later ones are shorter.
    """
    taken, longest = 0, _LEAP
    while taken < most:
        first = step(posterior)
        taken, moved, posterior = taken + 1, first - posterior, first
        if np.abs(moved).max() < tolerance:
            break
        if taken < plain or taken + 2 > most:
            continue
        posterior = step(first)
        again = posterior - first
        taken, bent = taken + 1, float(np.linalg.norm(again - moved))
        leap = min(float(np.linalg.norm(moved)) / bent, longest) if bent else 1.0
        if leap <= 1:
            continue
        ahead = normalised(np.maximum(first - moved + 2 * leap * moved + leap**2 * (again - moved), 0))
        after = step(ahead)
        taken += 1
        if np.linalg.norm(after - ahead) > 2 * np.linalg.norm(again):
            longest = max(1.5, longest / _LEAP)
        else:
            posterior, longest = after, longest * (_LEAP if leap == longest else 1)
    return posterior, taken
