"""Items that nobody answered, as labels to train on: semi-supervised learning on top of any method."""

from __future__ import annotations

import warnings

import numpy as np

from tasks.crowd.learn.network import fit, log_probabilities, tempered
from tasks.crowd.learn.problem import Learned, Problem
from tasks.run.seeds import integer

WAYS = ("none", "pseudo", "spread")
SURE = 0.95
NEIGHBOURS = 10


def targets_of(problem: Problem, learned: Learned, way: str) -> tuple[np.ndarray, np.ndarray]:
    """Places of items to train on, and probabilities of their labels.

    Args:
        way: none: the items answered alone. pseudo: and those whose label a network trained on these is sure of (pseudo-labels; Lee,
            2013). spread: and all others, by label spreading over nearest neighbours (Zhou et al., NIPS 2003; scikit-learn's).

    Returns:
        int64 (n,), float64 (n, labels).
    """
    others = problem.others
    if way == "none" or not len(others):
        return problem.place, learned.posterior
    found = _pseudo(problem, learned) if way == "pseudo" else _spread(problem, learned)
    sure = found.max(axis=1) >= (SURE if way == "pseudo" else 0)
    places = np.concatenate([problem.place, others[sure]])
    return places, np.concatenate([learned.posterior, found[sure]])


def _pseudo(problem: Problem, learned: Learned) -> np.ndarray:
    seed, training = integer(problem.seed, "pseudo"), problem.trained(len(problem.place))
    network = fit(problem.answered, learned.posterior, seed, training, problem.width)
    tempered(network, learned.temperature)
    found: np.ndarray = np.exp(
        log_probabilities(network, np.ascontiguousarray(problem.values[problem.others]))
    )
    return found


def _spread(problem: Problem, learned: Learned) -> np.ndarray:
    from sklearn.semi_supervised import LabelSpreading

    given = np.full(len(problem.values), -1)
    given[problem.place] = learned.posterior.argmax(axis=1)
    model = LabelSpreading(kernel="knn", n_neighbors=min(NEIGHBOURS, len(given) - 1), alpha=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # an item none of whose neighbours has a label: its row is not a number
        model.fit(problem.values, given)
    found = np.zeros((len(problem.others), learned.posterior.shape[1]))
    found[:, model.classes_] = np.nan_to_num(model.label_distributions_[problem.others])
    return found
