"""A small network on labels that are probabilities, and what it says of rows that it was not trained on."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from tasks.classify.inputs import WEAK, Vectors, order
from tasks.classify.networks import DROPOUT, device, logits_of, small_network
from tasks.classify.training import Training, adamw, batches, step
from tasks.run.seeds import generator, integer

_STEPS, _EPOCHS = 300, 20  # at least


def training_for(
    rows: int, epochs: int | None = None, learning_rate: float = 1e-3, batch: int = 64
) -> Training:
    """How a network is trained: by default for 300 steps, and 20 passes over the rows, at least."""
    steps = max(1, math.ceil(rows / batch))
    return Training(epochs or max(_EPOCHS, math.ceil(_STEPS / steps)), learning_rate, batch)


def fit(
    values: np.ndarray, targets: np.ndarray, seed: int, training: Training, width: int = 128
) -> nn.Module:
    """Train a network by cross entropy.

    Args:
        values: float32 (n, d), with mean 0.
        targets: probability of each class, float64 (n, classes); a row of less than 1 in all counts for less.

    Returns:
        The network, in evaluation mode.
    """
    inputs, target = Vectors(_tensor(values)), _tensor(targets)
    network = small_network(values.shape[1], targets.shape[1], integer(seed, "crowd"), width)
    optimizer = adamw(network, training.learning_rate)
    for epoch in range(training.epochs):
        for rows, read in batches(network, inputs, training, seed, "crowd", epoch):
            step(optimizer, network, cross_entropy(logits_of(network, read), target[torch.from_numpy(rows)]))
    return network.eval()


def tempered(network: nn.Module, temperature: float) -> nn.Module:
    """The network with its logits divided by a temperature: done to its last layer, in place."""
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        for values in last.parameters():
            values.div_(temperature)
    return network


def log_probabilities(network: nn.Module, values: np.ndarray) -> np.ndarray:
    """Logarithms of a network's softmax, float64 (n, classes)."""
    random = np.random.default_rng(0)  # nothing is hidden
    with torch.inference_mode():
        rows = Vectors(_tensor(values)).view(np.arange(len(values)), WEAK, random)
        found: np.ndarray = logits_of(network, rows).double().log_softmax(dim=1).cpu().numpy()
    return found


def cross_fitted(
    values: np.ndarray, targets: np.ndarray, folds: int, seed: int, training: Training, width: int = 128
) -> np.ndarray:
    """Log probabilities of every row by a network that was trained on the other folds, float64 (n, classes).

    A network that has seen a row repeats the label it was given; what is to be weighed against that label must not have seen it.
    All folds' networks are trained at once on the same batches, each without the loss of its own fold's rows.
    """
    count, folds = len(values), min(folds, len(values))
    fold = generator(seed, "folds").permutation(np.arange(count) % folds)
    networks = _Networks(folds, values.shape[1], targets.shape[1], width, integer(seed, "folds", "networks"))
    optimizer = adamw(networks, training.learning_rate)
    inputs, target = _tensor(values), _tensor(targets)
    seen = _tensor(fold[None] != np.arange(folds)[:, None])  # (folds, n)
    with torch.random.fork_rng():  # dropout draws from torch's global stream
        torch.manual_seed(integer(seed, "folds", "dropout"))
        for epoch in range(training.epochs):
            for rows in map(torch.from_numpy, order(count, training.batch, generator(seed, "folds", epoch))):
                said = networks(inputs[rows]).log_softmax(dim=2)
                losses = -(said * target[rows]).sum(dim=2) * seen[:, rows]
                loss = (losses.sum(dim=1) / seen[:, rows].sum(dim=1).clamp(min=1)).sum()
                step(optimizer, networks, loss, norm=5.0 * math.sqrt(folds))
    with torch.inference_mode():
        said = networks.eval()(inputs).double().log_softmax(dim=2).cpu().numpy()
    found: np.ndarray = said[fold, np.arange(count)]
    return found


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device())


class _Networks(nn.Module):
    """Networks as `small_network`, side by side: (n, features) -> (networks, n, classes)."""

    def __init__(self, count: int, features: int, classes: int, width: int, seed: int) -> None:
        super().__init__()
        ones = [small_network(features, classes, integer(seed, number), width) for number in range(count)]
        layers = [[layer for layer in one.modules() if isinstance(layer, nn.Linear)] for one in ones]
        self.weights = nn.ParameterList(
            torch.stack([layer.weight.detach().T for layer in same]) for same in zip(*layers, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.stack([layer.bias.detach()[None] for layer in same]) for same in zip(*layers, strict=True)
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found = values.expand(len(self.weights[0]), -1, -1)
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if place:
                found = dropout(found.relu(), DROPOUT, self.training)
            found = torch.baddbmm(bias, found, weight)
        return found
