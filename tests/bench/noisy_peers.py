"""What wrong events are measured beside: other ways to train on labels that are partly wrong, on the same network.

Every method has the same network, batches, optimiser and number of epochs. Each
returns its predictions for the test rows and how suspicious it finds each training row, large for a wrong label. Numbers are those
of the papers named; co-teaching is told the true share of wrong labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from tasks.classify.inputs import STRONG, WEAK, Vectors, order
from tasks.classify.networks import probabilities, small_network
from tasks.classify.training import adamw, step
from tasks.run.seeds import generator, integer
from tests.bench.noisy_labels import Task

EPOCHS = 100
FOLD_EPOCHS = 30  # cleanlab's, of the networks that it finds wrong labels by
RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Outcome:
    """Predictions for the test rows, (m,), and how suspicious each training row is, (n,)."""

    predicted: np.ndarray
    suspicion: np.ndarray


Loss = Callable[[torch.Tensor, torch.Tensor, np.ndarray], torch.Tensor]


def make(task: Task, seed: int, name: str = "") -> torch.nn.Module:
    return small_network(task.split.train.shape[1], task.split.classes, integer(seed, "net", name))


def finished(network: torch.nn.Module, task: Task) -> Outcome:
    """By one network and the loss of each row."""
    predicted = probabilities(network, Vectors(task.split.test)).argmax(axis=1)
    return Outcome(predicted, losses_of(network, task))


def losses_of(network: torch.nn.Module, task: Task) -> np.ndarray:
    found = probabilities(network, Vectors(task.split.train))
    return -np.log(np.maximum(found[np.arange(len(found)), task.given], 1e-12))


def trained(
    network: torch.nn.Module,
    values: torch.Tensor,
    given: np.ndarray,
    batch: int,
    loss: Loss,
    seed: int,
    epochs: int,
) -> None:
    """Plain training by a loss of (logits, labels, rows); cosine schedule."""
    optimizer, inputs = adamw(network, RATE), Vectors(values)
    target = torch.from_numpy(given)
    for epoch in range(epochs):
        random = generator(seed, "peer", epoch)
        torch.manual_seed(integer(seed, "peer", epoch))
        network.train()
        batches = order(len(given), batch, random)
        for place, rows in enumerate(batches):
            cosine(optimizer, (epoch + place / len(batches)) / epochs)
            logits = network(inputs.view(rows, WEAK, random))
            step(optimizer, network, loss(logits, target[torch.from_numpy(rows)], rows))


def cosine(optimizer: torch.optim.Optimizer, share: float) -> None:
    optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * share)) / 2


def by_loss(task: Task, seed: int, loss: Loss) -> Outcome:
    network = make(task, seed)
    trained(network, task.split.train, task.given, task.split.batch, loss, seed, EPOCHS)
    return finished(network, task)


def plain(task: Task, seed: int) -> Outcome:
    return by_loss(task, seed, lambda logits, labels, rows: cross_entropy(logits, labels))


def gce(task: Task, seed: int, q: float = 0.7) -> Outcome:
    """Zhang & Sabuncu, NeurIPS 2018."""

    def loss(logits: torch.Tensor, labels: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        right = logits.softmax(1).gather(1, labels[:, None])[:, 0]
        return ((1 - right.clamp(min=1e-7) ** q) / q).mean()

    return by_loss(task, seed, loss)


def elr(task: Task, seed: int, weight: float = 3.0, memory: float = 0.7) -> Outcome:
    """Liu et al., NeurIPS 2020."""
    targets = torch.zeros(len(task.given), task.split.classes)

    def loss(logits: torch.Tensor, labels: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        p = logits.softmax(1).clamp(1e-4, 1 - 1e-4)
        own = p.detach() / p.detach().sum(1, keepdim=True)
        targets[rows] = memory * targets[rows] + (1 - memory) * own
        return cross_entropy(logits, labels) + weight * (1 - (targets[rows] * p).sum(1)).log().mean()

    return by_loss(task, seed, loss)


def co_teaching(task: Task, seed: int, ramp: int = 10) -> Outcome:
    """Han et al., NeurIPS 2018."""
    nets = [make(task, seed, str(one)) for one in (0, 1)]
    optimizers = [adamw(net, RATE) for net in nets]
    inputs, target, share = Vectors(task.split.train), torch.from_numpy(task.given), float(task.wrong.mean())
    for epoch in range(EPOCHS):
        random = generator(seed, "co-teaching", epoch)
        torch.manual_seed(integer(seed, "co-teaching", epoch))
        keep = 1 - share * min(1.0, (epoch + 1) / ramp)
        batches = order(len(task.given), task.split.batch, random)
        for place, rows in enumerate(batches):
            labels, view = target[torch.from_numpy(rows)], inputs.view(rows, WEAK, random)
            each = []
            for net, optimizer in zip(nets, optimizers, strict=True):
                net.train()
                cosine(optimizer, (epoch + place / len(batches)) / EPOCHS)
                each.append(cross_entropy(net(view), labels, reduction="none"))
            count = max(1, round(keep * len(rows)))
            small = [losses.detach().argsort()[:count] for losses in each]
            for net, optimizer, losses, chosen in zip(nets, optimizers, each, small[::-1], strict=True):
                step(optimizer, net, losses[chosen].mean())
    outcomes = [finished(net, task) for net in nets]
    return Outcome(_together(nets, task), np.mean([one.suspicion for one in outcomes], axis=0))


def _together(nets: list[torch.nn.Module], task: Task) -> np.ndarray:
    found: np.ndarray = sum(probabilities(net, Vectors(task.split.test)) for net in nets).argmax(axis=1)  # type: ignore[union-attr]
    return found


def divide_mix(
    task: Task,
    seed: int,
    heaviest: float | None = None,
    warm: int = 10,
    temperature: float = 0.5,
    alpha: float = 4.0,
) -> Outcome:
    """In the manner of DivideMix (Li et al., ICLR 2020): two networks, each divides the rows for the other by a Gaussian
    mixture over their losses; MixMatch on what is taken for right and wrong. The unlabelled part's weight is `heaviest`, or as
    in the paper 25 with sym 60 and 0 elsewhere."""
    nets = [make(task, seed, str(one)) for one in (0, 1)]
    optimizers = [adamw(net, RATE) for net in nets]
    inputs, classes = Vectors(task.split.train), task.split.classes
    hot = one_hot(torch.from_numpy(task.given), classes).float()
    heavy = heaviest if heaviest is not None else 25.0 if task.wrong.mean() > 0.5 else 0.0
    clean = [np.ones(len(task.given))] * 2
    for epoch in range(EPOCHS):
        random = generator(seed, "divide", epoch)
        torch.manual_seed(integer(seed, "divide", epoch))
        if epoch >= warm:
            clean = [_gaussian(losses_of(net, task), seed) for net in nets]
        for one, (net, optimizer) in enumerate(zip(nets, optimizers, strict=True)):
            other = nets[1 - one]
            if epoch < warm:
                for rows in order(len(hot), task.split.batch, random):
                    net.train()
                    step(optimizer, net, cross_entropy(net(inputs.view(rows, WEAK, random)), hot[rows]))
                continue
            p = clean[1 - one]
            kept, left = np.flatnonzero(p > 0.5), np.flatnonzero(p <= 0.5)
            if len(kept) < 2:
                kept, left = np.arange(len(p)), left[:0]
            batches = order(len(kept), task.split.batch, random)
            for place, at in enumerate(batches):
                cosine(optimizer, (epoch + place / len(batches)) / EPOCHS)
                rows = kept[at]
                apart = random.choice(left, min(len(rows), len(left)), replace=False) if len(left) else left
                ramp = min(1.0, max(0.0, (epoch - warm) / 16))
                loss = _mix_match(
                    net, other, inputs, hot, rows, apart, p, random, temperature, alpha, heavy * ramp
                )
                step(optimizer, net, loss)
    suspicion = 1 - np.mean([_gaussian(losses_of(net, task), seed) for net in nets], axis=0)
    # Where the mixture is sure of many rows their losses still rank them.
    ranks = np.mean([losses_of(net, task) for net in nets], axis=0)
    return Outcome(_together(nets, task), suspicion + 1e-6 * ranks)


def _gaussian(losses: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.mixture import GaussianMixture

    x = ((losses - losses.min()) / max(float(np.ptp(losses)), 1e-12))[:, None]
    mixture = GaussianMixture(
        2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=integer(seed, "gmm")
    ).fit(x)
    found: np.ndarray = mixture.predict_proba(x)[:, mixture.means_.argmin()]
    return found


def _mix_match(
    net: Any, other: Any, inputs: Vectors, hot: torch.Tensor, rows: np.ndarray, apart: np.ndarray,
    p: np.ndarray, random: np.random.Generator, temperature: float, alpha: float, heavy: float,
) -> torch.Tensor:  # fmt: skip
    views = [inputs.view(rows, STRONG, random) for _ in range(2)]
    free = [inputs.view(apart, STRONG, random) for _ in range(2)] if len(apart) else []
    net.train()
    with torch.no_grad():
        own = sum(net(view).softmax(1) for view in views) / 2
        weight = torch.from_numpy(p[rows]).float()[:, None]
        targets = [_sharp(weight * hot[rows] + (1 - weight) * own, temperature)] * 2
        if free:
            other.eval()
            targets += [
                _sharp(sum(one(view).softmax(1) for view in free for one in (net, other)) / 4, temperature)
            ] * 2
    values, goals = torch.cat([*views, *free]), torch.cat(targets)
    drawn = float(random.beta(alpha, alpha))
    share = max(drawn, 1 - drawn)
    places = torch.from_numpy(random.permutation(len(values)))
    logits = net(share * values + (1 - share) * values[places])
    mixed = share * goals + (1 - share) * goals[places]
    labelled = 2 * len(rows)
    loss = -(logits[:labelled].log_softmax(1) * mixed[:labelled]).sum(1).mean()
    if heavy and free:
        loss = loss + heavy * (logits[labelled:].softmax(1) - mixed[labelled:]).square().mean()
    mean = logits.softmax(1).mean(0)
    prior = torch.full_like(mean, 1 / len(mean))
    return loss + (prior * (prior / mean).log()).sum()


def _sharp(p: torch.Tensor, temperature: float) -> torch.Tensor:
    sharp = p ** (1 / temperature)
    return sharp / sharp.sum(1, keepdim=True)


def cleanlab(task: Task, seed: int, folds: int = 5) -> Outcome:
    """Confident learning (Northcutt et al., 2021): find by cross-validation, prune, train again."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.model_selection import KFold

    split, loss = task.split, lambda logits, labels, rows: cross_entropy(logits, labels)
    outside = np.zeros((len(task.given), split.classes))
    for number, (rows, held) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(outside)):
        network = make(task, seed, f"fold {number}")
        trained(
            network,
            split.train[rows],
            task.given[rows],
            split.batch,
            loss,
            integer(seed, number),
            FOLD_EPOCHS,
        )
        outside[held] = probabilities(network, Vectors(split.train[held]))
    issues = find_label_issues(task.given, outside, n_jobs=1)
    kept = np.flatnonzero(~issues)
    network = make(task, seed)
    trained(network, split.train[kept], task.given[kept], split.batch, loss, seed, EPOCHS)
    return Outcome(finished(network, task).predicted, 1 - get_label_quality_scores(task.given, outside))


PEERS: dict[str, Callable[[Task, int], Outcome]] = {
    "plain": plain,
    "gce": gce,
    "elr": elr,
    "co-teaching": co_teaching,
    "divide-mix": divide_mix,
    "divide-mix, 25": partial(divide_mix, heaviest=25.0),
    "cleanlab": cleanlab,
}
