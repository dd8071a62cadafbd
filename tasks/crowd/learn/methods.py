"""All ways to learn from answers that differ, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import entr
from torch import nn

from tasks.crowd.learn.crowd_layer import infer_by_layer
from tasks.crowd.learn.crowdlab import infer_crowdlab
from tasks.crowd.learn.joint import infer_jointly, infer_pooled
from tasks.crowd.learn.network import fit, log_probabilities, tempered
from tasks.crowd.learn.problem import Learned, Problem
from tasks.crowd.learn.unlabelled import targets_of
from tasks.crowd.truth.dawid_skene import DawidSkene
from tasks.crowd.truth.inferred import Inferred
from tasks.crowd.truth.majority import MajorityVote
from tasks.run.seeds import integer


def by_votes(problem: Problem) -> Learned:
    """Majority vote."""
    found = MajorityVote().infer(problem.answers)
    return Learned(_certain(found))


def by_dawid_skene(problem: Problem) -> Learned:
    """D&S: their posterior."""
    found = DawidSkene().infer(problem.answers, prior=problem.prior)
    return Learned(found.posterior, found.confusion)


def by_dawid_skene_hard(problem: Problem) -> Learned:
    """D&S: the likeliest label, as if it were certain."""
    found = DawidSkene().infer(problem.answers, prior=problem.prior)
    return Learned(_certain(found), found.confusion)


METHODS: dict[str, Callable[[Problem], Learned]] = {
    "mv": by_votes,
    "ds-hard": by_dawid_skene_hard,
    "ds": by_dawid_skene,
    "ds-pooled": infer_pooled,
    "joint": infer_jointly,
    "crowd-layer": infer_by_layer,
    "crowdlab": infer_crowdlab,
}


def train(problem: Problem, learned: Learned, unlabelled: str = "none") -> nn.Module:
    """A network for items that nobody labelled: the method's own, or one trained on what is right of those answered.

    Args:
        unlabelled: what becomes of the items that nobody answered; see `targets_of`.

    Returns:
        The network; its softmax is tempered as the method found.
    """
    if learned.network is not None and unlabelled == "none":
        return learned.network
    places, targets = targets_of(problem, learned, unlabelled)
    values = np.ascontiguousarray(problem.values[places])
    seed = integer(problem.seed, "model")
    return tempered(
        fit(values, targets, seed, problem.trained(len(places)), problem.width), learned.temperature
    )


def probabilities(problem: Problem, learned: Learned, network: nn.Module) -> np.ndarray:
    """Of the labels of all items, float64 (items, labels): as learned where they were answered, the network's elsewhere."""
    found: np.ndarray = np.exp(log_probabilities(network, problem.values))
    found[problem.place] = learned.posterior
    return found


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """How unsure each row is, in nats, float64 (n,): what to ask about next comes first when it is large."""
    return np.asarray(entr(probabilities).sum(axis=1))


def _certain(found: Inferred) -> np.ndarray:
    return np.asarray(np.eye(found.posterior.shape[1])[found.best])
