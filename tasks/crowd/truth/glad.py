"""GLAD (Whitehill et al., NeurIPS 2009): workers differ in ability, tasks in difficulty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import (
    TOLERANCE,
    Inferred,
    TruthInference,
    hold,
    quality_of,
    settle,
    softmax,
    vote_shares,
)

_STEEPEST = 30.0  # log of the largest easiness; beyond it everything is certain


@dataclass(frozen=True)
class Glad(TruthInference):
    """P(right) = sigmoid(ability of the worker x easiness of the task), errors spread evenly.

    Ability and the logarithm of easiness have normal priors with mean 1 and variance 1, as in the authors' release.

    Args:
        tolerance: change of a probability below which it ends.
        most: steps, at most.
        inner: steps of L-BFGS in each maximisation.
    """

    tolerance: float = TOLERANCE
    most: int = 100
    inner: int = 25

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        workers, others = len(answers.workers), max(1, len(answers.labels) - 1)
        parameters = np.ones(workers + len(answers.tasks))

        def step(posterior: np.ndarray) -> np.ndarray:
            nonlocal parameters
            parameters = _maximise(answers, posterior, parameters, self.inner)
            strength = _strength(answers, parameters)[2]
            weight = log_expit(strength) - log_expit(-strength) + np.log(others)
            return hold(softmax(answers.votes(weight)), golden)

        posterior, steps = settle(_first(answers, parameters, others, golden), step, self.tolerance, self.most)
        return Inferred(posterior, quality_of(answers, posterior), steps, weight=parameters[:workers])


def _first(
    answers: Answers, parameters: np.ndarray, others: int, golden: np.ndarray | None
) -> np.ndarray:
    return hold(vote_shares(answers), golden)


def _strength(answers: Answers, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ability and easiness of each answer, and their product."""
    workers = len(answers.workers)
    ability = parameters[answers.worker]
    easiness = np.exp(np.minimum(parameters[workers:], _STEEPEST))[answers.task]
    return ability, easiness, ability * easiness


def _maximise(answers: Answers, posterior: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """Abilities and log easinesses that the posterior makes likeliest, float64 (workers + tasks,)."""
    right = posterior[answers.task, answers.label]
    workers, tasks = len(answers.workers), len(answers.tasks)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        ability, easiness, strength = _strength(answers, parameters)
        surprise = right - expit(strength)
        value = -(right * log_expit(strength) + (1 - right) * log_expit(-strength)).sum()
        away = parameters - 1
        slope = np.concatenate(
            [
                np.bincount(answers.worker, surprise * easiness, workers),
                np.bincount(answers.task, surprise * strength, tasks),
            ]
        )
        return float(value + away @ away / 2), away - slope

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return np.asarray(found.x)
