"""GLAD (Whitehill et al., NeurIPS 2009): workers differ in ability, tasks in difficulty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import Inferred, TruthInference, evidence, hold, quality_of, softmax

_STEEPEST = 30.0  # log of the largest easiness; beyond it everything is certain


@dataclass(frozen=True)
class Glad(TruthInference):
    """P(right) = sigmoid(ability of the worker x easiness of the task), errors spread evenly, labels equally likely beforehand.

    Ability and the logarithm of easiness have normal priors with mean 1. What the answers make likeliest is found by L-BFGS on
    the likelihood itself, summed over labels; its gradient is that of the expectation which the authors' expectation maximisation
    climbs, with the posterior as it is at that point (Fisher's identity), so it ends where theirs does, in fewer steps.

    Args:
        deviation: of the priors, standard.
        tolerance: of the gradient's largest element.
        most: steps, at most.
    """

    deviation: float = 1.0
    tolerance: float = 1e-3
    most: int = 500

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        workers, tasks = len(answers.workers), len(answers.tasks)
        others = np.log(max(1, len(answers.labels) - 1))

        def logits_of(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
            """Logits of each task's labels; of each answer its task's easiness, its strength (the log odds of its being right), and the
            log probability of its being wrong."""
            easiness = np.exp(np.minimum(parameters[workers:], _STEEPEST))[answers.task]
            strength = parameters[answers.worker] * easiness
            return answers.votes(strength + others), easiness, strength, log_expit(-strength)

        def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            logits, easiness, strength, wrong = logits_of(parameters)
            posterior = hold(softmax(logits), golden)
            surprise = posterior.ravel()[answers.cell] - expit(strength)
            away = (parameters - 1) / self.deviation**2
            slope = np.concatenate(
                [
                    np.bincount(answers.worker, surprise * easiness, workers),
                    np.bincount(answers.task, surprise * strength, tasks),
                ]
            )
            likelihood = evidence(logits, golden) + wrong.sum()
            return float(away @ (parameters - 1) / 2 - likelihood), away - slope

        found = minimize(
            loss,
            np.ones(workers + tasks),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.most, "gtol": self.tolerance, "ftol": 1e-10},
        )
        posterior = hold(softmax(logits_of(found.x)[0]), golden)
        return Inferred(posterior, quality_of(answers, posterior), int(found.nit), weight=found.x[:workers])
