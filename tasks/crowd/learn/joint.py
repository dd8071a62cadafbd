"""What is right by answers and features together.

"Learning from Crowds" (Raykar et al., JMLR 2010): what is right has a prior by the features, the classifier's, and answers by the
workers' confusion matrices; both are found in turns. Three things are done otherwise. The classifier is a network that would learn
its own labels by heart, so an item's prior is by a network trained without it (cross-fitting). Its probabilities are tempered by
the temperature at which prior and matrices make the answers likeliest. And matrices shrink to that of all workers together, as a
worker of a few answers shows little of his own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from tasks.crowd.answers import Answers
from tasks.crowd.learn.crowd_layer import infer_by_layer
from tasks.crowd.learn.network import cross_fitted
from tasks.crowd.learn.problem import Learned, Problem
from tasks.crowd.truth.inferred import TOLERANCE, settle, softmax, vote_shares
from tasks.run.seeds import integer

ROUNDS = 3
STRENGTH = 10.0  # answers to each label that the matrix of all workers counts for in everybody's
_TURNS, _STEPS = 8, 5  # of temperature and matrices in a round; of the matrices in a turn
_MOST = 200  # steps of pooled D&S
_COLDEST, _HOTTEST = 0.2, 20.0
_UNSEEN = 0.1  # answers of each kind that all workers together are taken to have given
_NEVER = 1e-10


@dataclass(frozen=True, slots=True)
class _Turn:
    """What answers and a classifier say together, and the logarithm of how likely that makes the answers."""

    posterior: np.ndarray
    confusion: np.ndarray
    temperature: float
    evidence: float


def infer_jointly(problem: Problem, rounds: int = ROUNDS) -> Learned:
    """Train on what seems right, weigh answers by what the classifier says of items it has not seen, repeat.

    It begins with what a crowd layer says, and with pooled D&S; where one of them goes wrong (many labels; one answer to an item)
    the other mostly does not. After the first round it goes on with the one under which the answers are likelier.
    """
    starts = (infer_by_layer(problem).posterior, infer_pooled(problem).posterior)
    best = max((_turn(problem, start, 0) for start in starts), key=lambda turn: turn.evidence)
    for number in range(1, rounds):
        best = _turn(problem, best.posterior, number)
    return Learned(best.posterior, best.confusion, best.temperature)


def infer_pooled(problem: Problem) -> Learned:
    """D&S whose matrices are drawn to that of all workers: without features."""
    answers = problem.answers

    def step(posterior: np.ndarray) -> np.ndarray:
        share = np.log(np.maximum(posterior.mean(axis=0), _NEVER))
        return softmax(share + answer_likelihood(answers, shrunk(answers, posterior, problem.prior)))

    posterior, _ = settle(vote_shares(answers), step, TOLERANCE, _MOST)
    return Learned(posterior, shrunk(answers, posterior, problem.prior))


def _turn(problem: Problem, posterior: np.ndarray, number: int) -> _Turn:
    """Train on a posterior, and infer again beside what the classifiers say."""
    answers, seed = problem.answers, integer(problem.seed, "joint", number)
    training = problem.trained(len(posterior))
    said = cross_fitted(problem.answered, posterior, problem.folds, seed, training, problem.width)
    confusion = shrunk(answers, posterior, problem.prior)
    for _ in range(_TURNS):
        temperature = temperature_of(said, answers, confusion)
        prior = log_softmax(said / temperature, axis=1)
        for _ in range(_STEPS):
            posterior = softmax(prior + answer_likelihood(answers, confusion))
            confusion = shrunk(answers, posterior, problem.prior)
    evidence = float(logsumexp(prior + answer_likelihood(answers, confusion), axis=1).sum())
    return _Turn(posterior, confusion, temperature, evidence)


def shrunk(answers: Answers, posterior: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Confusion matrices under a posterior, drawn to that of all workers, (workers, labels true, labels given).

    Args:
        known: prior counts of every worker instead of those, (workers, true, given); see `prior_of`.
    """
    counts = expected_counts(answers, posterior)
    counts = counts + (_of_all(counts) if known is None else known)
    found: np.ndarray = np.maximum(counts / counts.sum(axis=2, keepdims=True), _NEVER)
    return found


def prior_of(known: np.ndarray) -> np.ndarray:
    """Prior counts of every worker from what was counted before, 0 of one nobody knows, (workers, labels true, labels given).

    Some cells of a worker are empty by chance, and nobody knows some workers: all workers together count in each, too.
    """
    return np.asarray(known + _of_all(known))


def _of_all(counts: np.ndarray) -> np.ndarray:
    """The matrix of all workers together, as `STRENGTH` answers to each label, (labels true, labels given)."""
    pooled = counts.sum(axis=0) + _UNSEEN
    return np.asarray(STRENGTH * pooled / pooled.sum(axis=1, keepdims=True))


def expected_counts(answers: Answers, posterior: np.ndarray) -> np.ndarray:
    """Answers of workers by what is right, as a posterior expects, float64 (workers, labels true, labels given)."""
    labels = len(answers.labels)
    found: np.ndarray = (answers.by_task.T @ posterior).reshape(-1, labels, labels).transpose(0, 2, 1)
    return found


def answer_likelihood(answers: Answers, confusion: np.ndarray) -> np.ndarray:
    """Logarithm of the probability of all answers to a task, for each label it may have, float64 (tasks, labels)."""
    labels = len(answers.labels)
    found: np.ndarray = answers.by_task @ np.log(confusion).transpose(0, 2, 1).reshape(-1, labels)
    return found


def temperature_of(said: np.ndarray, answers: Answers, confusion: np.ndarray) -> float:
    """The temperature of a classifier at which the answers are likeliest.

    Args:
        said: log probabilities, float64 (tasks, labels).
        confusion: of workers, (workers, true, given).
    """
    given = answer_likelihood(answers, confusion)

    def loss(log_temperature: float) -> float:
        prior = log_softmax(said / np.exp(log_temperature), axis=1)
        return -float(logsumexp(prior + given, axis=1).sum())

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))
