"""The second stage: training that weighs every row by what its wrong events say, and goes on counting them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tasks.classify.inputs import STRONG, WEAK, Inputs
from tasks.classify.training import Training, adamw, step, visits
from tasks.train.finetune import diverged
from tasks.wrong_event import checkpoint
from tasks.wrong_event.beta_mixture import EventModel
from tasks.wrong_event.loss import dynamic_loss
from tasks.wrong_event.warm_up import Told


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
    kept: Path | None = None,
    told: Told | None = None,
) -> Robust:
    """Train a network, in place, by the dynamic loss; AdamW, cosine schedule.

    Args:
        labels: given, int64 (n,).
        counts: wrong events of the first stage, (n,).
        model: learns from the counts before the first epoch, and a little further before every other.
        before: visits to each row in the first stage; None has the paper's scale of the counts.
        shares: of the classes, which predictions are kept near (see `balance`); None is the paper's way.
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
        for rows, weak, strong in visits(network, inputs, training, seed, "robust", epoch, (WEAK, STRONG)):
            share = (epoch + seen / len(labels)) / training.epochs
            optimizer.param_groups[0]["lr"] = training.learning_rate * (1 + math.cos(math.pi * share)) / 2
            at = torch.from_numpy(rows)
            given, right, alike = (one[at].to(weak.device) for one in (target, clean, even))
            loss = dynamic_loss(weak, strong, given, right, alike, shares)
            step(optimizer, network, loss)
            for view in (weak, strong):
                found.counts[rows] += view.detach().argmax(dim=1).cpu().numpy() != labels[rows]
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
