"""Items with features, some of which workers answered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import nn

from tasks.classify.training import Training
from tasks.crowd.answers import Answers
from tasks.crowd.learn.network import training_for


@dataclass(frozen=True)
class Problem:
    """What there is to learn from.

    Args:
        values: features of all items, float32 (items, d), with mean 0.
        answers: of workers; its tasks are the items that were answered.
        place: of each task among the items, int64 (tasks,).
        seed: of networks and folds.
        training: of every network; by default `training_for` the rows it has.
        width: units of each hidden layer.
        folds: of cross-fitting.
        prior: counts known of every worker from before, float64 (workers, labels true, labels given), see `joint.prior_of`; or
            nothing is known.
    """

    values: np.ndarray
    answers: Answers
    place: np.ndarray
    seed: int = 0
    training: Training | None = None
    width: int = 128
    folds: int = 5
    prior: np.ndarray | None = None

    @cached_property
    def answered(self) -> np.ndarray:
        """Features of the items that were answered, float32 (tasks, d)."""
        return np.ascontiguousarray(self.values[self.place])

    @cached_property
    def others(self) -> np.ndarray:
        """Places of the items that nobody answered, int64 (items - tasks,)."""
        return np.setdiff1d(np.arange(len(self.values)), self.place)

    def trained(self, rows: int) -> Training:
        return self.training or training_for(rows)


@dataclass(frozen=True)
class Learned:
    """What is right of the items answered, as a method has it.

    Args:
        posterior: float64 (tasks, labels), rows sum to 1.
        confusion: of workers, (workers, true, given), where the method has them.
        temperature: that log probabilities of a network are divided by so that they say how often it is right.
        network: that the method trained itself, where it did.
    """

    posterior: np.ndarray
    confusion: np.ndarray | None = None
    temperature: float = 1.0
    network: nn.Module | None = None
