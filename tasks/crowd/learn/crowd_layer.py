"""Crowd layer: a network under a matrix for each worker, trained on all answers as they were given.

Rodrigues and Pereira, "Deep learning from crowds" (AAAI 2018), variant MW: the network's softmax goes through a matrix of each
worker, which begins as the identity; what comes out are logits of the worker's answer. The loss is over answers that were given.
Without its matrices the network predicts what is right.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tasks.classify.inputs import Vectors
from tasks.classify.networks import device, logits_of, small_network
from tasks.classify.training import Training, adamw, batches, step
from tasks.crowd.answers import Answers
from tasks.crowd.learn.network import log_probabilities
from tasks.crowd.learn.problem import Learned, Problem
from tasks.run.seeds import integer


class CrowdLayer(nn.Module):
    """From probabilities of what is right to logits of what workers answer.

    Args:
        workers, labels: how many.
    """

    def __init__(self, workers: int, labels: int) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.eye(labels).repeat(workers, 1, 1))

    def forward(self, probabilities: torch.Tensor, worker: torch.Tensor) -> torch.Tensor:
        """Logits of each answer's labels, (a, labels).

        Args:
            probabilities: of the labels of the item answered, (a, labels).
            worker: who answered, int64 (a,).
        """
        return torch.einsum("aij,aj->ai", self.matrices[worker], probabilities)


def infer_by_layer(problem: Problem) -> Learned:
    """What is right of the items answered, by a network that was trained under a crowd layer on their answers."""
    seed, training = integer(problem.seed, "layer"), problem.trained(len(problem.place))
    network, _ = fit_crowd_layer(problem.answered, problem.answers, seed, training, problem.width)
    return Learned(np.exp(log_probabilities(network, problem.answered)), network=network)


def fit_crowd_layer(
    values: np.ndarray, answers: Answers, seed: int, training: Training, width: int = 128
) -> tuple[nn.Module, CrowdLayer]:
    """Train a network with a crowd layer on answers.

    Args:
        values: float32 (tasks, d) of the items answered, with mean 0.

    Returns:
        The network, in evaluation mode, and the layer.
    """
    labels = len(answers.labels)
    network = small_network(values.shape[1], labels, integer(seed, "crowd"), width)
    layer = CrowdLayer(len(answers.workers), labels).to(device())
    both = nn.ModuleList([network, layer])
    optimizer = adamw(both, training.learning_rate)
    start = np.concatenate([[0], np.cumsum(answers.per_task)])
    worker, label = (torch.from_numpy(codes).to(device()) for codes in (answers.worker, answers.label))
    inputs = Vectors(torch.from_numpy(values).to(device()))
    for epoch in range(training.epochs):
        for rows, read in batches(network, inputs, training, seed, "crowd", epoch):
            logits = logits_of(network, read)
            place = np.repeat(np.arange(len(rows)), answers.per_task[rows])
            given = torch.from_numpy(np.concatenate([np.arange(start[row], start[row + 1]) for row in rows]))
            seen = layer(logits.softmax(dim=1)[torch.from_numpy(place)], worker[given])
            step(optimizer, both, cross_entropy(seen, label[given]))
    return network.eval(), layer.eval()
