"""Collapsed variational Bayes: each answer is weighed by what its worker's other answers tell, and by what the crowd is like.

The model is that of Dawid and Skene with Dirichlet priors (IBCC, Kim and Ghahramani, AISTATS 2012), whose matrices are
integrated out; what is left is the zero-order update CVB0 (Asuncion et al., UAI 2009): expected counts without the answer
itself. The prior is the crowd's own confusion matrix, so a worker of few answers is taken for one of the crowd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

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

NEWCOMER = 0.7  # accuracy of somebody of whom nothing is known, in a crowd of whom nothing is known
STRENGTH = 4.0  # answers to each label that the crowd's matrix is worth beside those of a worker
_CROWD = 10.0  # answers to each label that a newcomer's matrix is worth beside those of the crowd
_NEVER = 1e-9


@dataclass(frozen=True)
class CollapsedBayes(TruthInference):
    """Posteriors in which no answer vouches for its own worker.

    Args:
        strength: answers to each label that the crowd's matrix is worth beside those of a worker.
        tolerance: change of a probability below which it ends.
        most: steps, at most.
    """

    strength: float = STRENGTH
    tolerance: float = TOLERANCE
    most: int = 1000

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        def step(posterior: np.ndarray) -> np.ndarray:
            return hold(leave_one_out(answers, posterior, self.strength), golden)

        posterior, steps = settle(hold(vote_shares(answers), golden), step, self.tolerance, self.most)
        counts = counts_of(answers, posterior)
        confusion = matrices(counts, crowd_matrix(counts.sum(axis=0)), self.strength)
        return Inferred(posterior, quality_of(answers, posterior), steps, confusion)


def leave_one_out(
    answers: Answers, posterior: np.ndarray, strength: float = STRENGTH, unseen: float = 0.0
) -> np.ndarray:
    """Posteriors in which what is known of a worker is from the worker's other tasks alone, float64 (tasks, labels).

    Expectation maximisation lets an answer vouch for its own worker. With two answers to a task, half of all labels are "sure"
    then, and up to two fifths of those wrong (tests/bench/annotate.md): no probability to stop by.

    Args:
        posterior: of which each worker's expected answers are counted, float64 (tasks, labels).
        strength: see `CollapsedBayes`.
        unseen: tasks that are taken to be there beside these, evenly of all labels; see `label_shares`.
    """
    counts = counts_of(answers, posterior)
    prior = strength * crowd_matrix(counts.sum(axis=0))
    mine = posterior[answers.task]  # answers, labels true
    right = counts.transpose(0, 2, 1)[answers.worker, answers.label] - mine + prior.T[answers.label]
    given = counts.sum(axis=2)[answers.worker] - mine + strength
    told = np.log(np.maximum(right, _NEVER)) - np.log(given)
    start = np.concatenate([[0], np.cumsum(answers.per_task)])
    by_task = csr_array(
        (np.ones(len(answers)), np.arange(len(answers)), start), shape=(len(posterior), len(answers))
    )
    return softmax(np.log(np.maximum(label_shares(posterior, unseen), _NEVER)) + by_task @ told)


def label_shares(posterior: np.ndarray, unseen: float = 0.0) -> np.ndarray:
    """How frequent labels are, float64 (labels,).

    Args:
        posterior: float64 (tasks, labels).
        unseen: tasks beside these, evenly of all labels: what nobody has answered with yet may still come.
    """
    tasks, labels = posterior.shape
    return np.asarray((posterior.sum(axis=0) + unseen / labels) / (tasks + unseen))


def counts_of(answers: Answers, posterior: np.ndarray) -> np.ndarray:
    """Answers of each worker by what is right, as a posterior expects it, float64 (workers, labels true, labels given)."""
    labels = posterior.shape[1]
    return np.asarray(answers.by_task.T @ posterior).reshape(-1, labels, labels).transpose(0, 2, 1)


def crowd_matrix(counts: np.ndarray) -> np.ndarray:
    """Confusion matrix of somebody new, from the answers of all, float64 (labels true, labels given)."""
    labels = len(counts)
    newcomer = np.full((labels, labels), (1 - NEWCOMER) / max(1, labels - 1))
    np.fill_diagonal(newcomer, NEWCOMER)
    return matrices(counts, newcomer, _CROWD)


def matrices(counts: np.ndarray, prior: np.ndarray, strength: float = STRENGTH) -> np.ndarray:
    """Confusion matrices out of expected answers, rows sum to 1, float64, of the shape of `counts`.

    Args:
        counts: float64 (..., labels true, labels given).
        prior: what somebody is like of whom nothing is known, float64 (labels true, labels given).
        strength: answers to each label that it is worth.
    """
    whole = counts + strength * prior
    return np.asarray(whole / whole.sum(axis=-1, keepdims=True))
