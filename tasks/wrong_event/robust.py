"""The second stage: training that weighs every row by what its wrong events say, and goes on counting them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tasks.classify.inputs import STRONG, WEAK, Inputs
from tasks.classify.networks import logits_of
from tasks.classify.training import Training, adamw, batches, step
from tasks.run.seeds import generator
from tasks.train.finetune import diverged
from tasks.wrong_event import checkpoint
from tasks.wrong_event.beta_mixture import EventModel
from tasks.wrong_event.loss import dynamic_loss, likely_labels, mixed_loss
from tasks.wrong_event.warm_up import Told

MIXING = 4.0  # both shapes of the Beta distribution of a mixture's share: DivideMix's (Li et al., ICLR 2020)

Weights = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(slots=True)
class Robust:
    """What the second stage leaves.

    Args:
        counts: wrong events of each row in both stages, int64 (n,).
        losses: mean over the rows of each epoch.
    """

    counts: np.ndarray
    losses: list[float] = field(default_factory=list)


def train_robustly(
    network: nn.Module,
    inputs: Inputs,
    labels: np.ndarray,
    counts: np.ndarray,
    model: EventModel,
    training: Training,
    *,
    seed: int,
    before: int | None = None,
    shares: torch.Tensor | None = None,
    mixing: bool = False,
    kept: Path | None = None,
    told: Told | None = None,
) -> Robust:
    """Train a network, in place, by the dynamic loss or on mixtures of rows; AdamW, cosine schedule.

    Args:
        labels: given, int64 (n,).
        counts: wrong events of the first stage, (n,).
        model: learns from the counts before the first epoch, and a little further before every other.
        before: visits to each row in the first stage; None has the paper's scale of the counts.
        shares: of the classes, which predictions are kept near (see `balance`); None is the paper's way.
        mixing: learn mixtures of two rows each, where a mixture of rows is a row (`Vectors`) and there are shares; False has the
            paper's loss.
        kept, told: as in `warm_up`.
    """
    optimizer = adamw(network, training.learning_rate)
    found = Robust(counts.copy())
    first = 0
    if was := checkpoint.load(kept, network, optimizer):
        found.counts, found.losses, first = was.arrays["counts"], was.facts["losses"], was.facts["epoch"]
        model.restore(was.facts["mixtures"])
    target = torch.from_numpy(labels)

    def visited(epochs: int) -> int | None:
        return None if before is None else before + 2 * epochs  # one a view

    for epoch in range(first, training.epochs):
        model.update(found.counts, visited(epoch))
        clean, even = (torch.from_numpy(own).float() for own in model.weights(found.counts))
        total, seen = 0.0, 0
        random = generator(seed, "mixtures", epoch)
        for rows, views in batches(network, inputs, training, seed, "robust", epoch, (WEAK, STRONG)):
            share = (epoch + seen / len(labels)) / training.epochs
            optimizer.param_groups[0]["lr"] = training.learning_rate * (1 + math.cos(math.pi * share)) / 2
            weights = target[rows], clean[rows], even[rows]
            if mixing and shares is not None:
                loss, each = _mixed(network, views, weights, shares, random)
            else:
                loss, each = _dynamic(network, views, weights, shares)
            step(optimizer, network, loss)
            predicted = torch.stack(each).detach().argmax(dim=2).cpu().numpy()
            found.counts[rows] += (predicted != labels[rows]).sum(axis=0)
            total += float(loss.detach()) * len(rows)
            seen += len(rows)
        if not math.isfinite(total):
            raise diverged(training.learning_rate, f"in epoch {epoch + 1}")
        found.losses.append(total / len(labels))
        checkpoint.save(
            kept,
            network,
            optimizer,
            {"counts": found.counts},
            {"epoch": epoch + 1, "losses": found.losses, "mixtures": model.state()},
        )
        if told is not None:
            told(epoch + 1, training.epochs)
    model.settle(found.counts, visited(training.epochs))
    return found


def _dynamic(
    network: nn.Module, views: Any, weights: Weights, shares: torch.Tensor | None
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """The loss of a batch by `dynamic_loss`, and the logits of both views."""
    weak, strong = logits_of(network, views).chunk(2)
    labels, clean, even = (one.to(weak.device) for one in weights)
    return dynamic_loss(weak, strong, labels, clean, even, shares), (weak, strong)


def _mixed(
    network: nn.Module,
    views: torch.Tensor,
    weights: Weights,
    shares: torch.Tensor,
    random: np.random.Generator,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """The loss of mixtures of each row's strong view with another's weak one (mixup: Zhang et al., ICLR 2018), and the logits of both
    views before they were mixed."""
    with torch.no_grad():
        seen_weak, seen_strong = logits_of(network, views).chunk(2)
    weak, strong = views.chunk(2)
    labels, clean, _ = (one.to(weak.device) for one in weights)
    targets = likely_labels(seen_weak, seen_strong, labels, clean)
    drawn = random.beta(MIXING, MIXING)
    part = max(drawn, 1 - drawn)
    others = torch.from_numpy(random.permutation(len(weak))).to(weak.device)
    logits = logits_of(network, part * strong + (1 - part) * weak[others])
    loss = mixed_loss(logits, part * targets + (1 - part) * targets[others], shares)
    return loss, (seen_weak, seen_strong)
