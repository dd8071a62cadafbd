"""The first stage: plain training on the given labels that counts wrong events and finds the epoch to go on from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tasks.classify.inputs import Inputs
from tasks.classify.training import Training, adamw, step, visits
from tasks.train.finetune import diverged
from tasks.wrong_event import checkpoint
from tasks.wrong_event.checkpoint import Weights, weights_of
from tasks.wrong_event.label_wave import first_minimum

Told = Callable[[int, int], None]


@dataclass(slots=True)
class WarmUp:
    """What the first stage leaves.

    Args:
        counts: wrong events of each row, int64 (n,).
        base: weights at the first local minimum of the predictions that changed, of the last epoch if there was none.
        base_epoch: the epoch they are of, from 1.
        changes: predictions that changed from one epoch to the next, from the second epoch on.
        losses: mean over the rows of each epoch, nats.
    """

    counts: np.ndarray
    base: Weights
    base_epoch: int
    changes: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def warm_up(
    network: nn.Module,
    inputs: Inputs,
    labels: np.ndarray,
    training: Training,
    *,
    seed: int,
    window: int = 3,
    kept: Path | None = None,
    told: Told | None = None,
) -> WarmUp:
    """Train a network, in place, by cross entropy on the given labels.

    A wrong event of a row is a visit at which the network's first choice (in training mode, before the step that the visit
    is for) is not the given label.

    Args:
        labels: given, int64 (n,).
        window: of `first_minimum`.
        kept: folder of the checkpoint, renewed after every epoch; None keeps none.
        told: called after every epoch with its number and that of all.
    """
    optimizer = adamw(network, training.learning_rate)
    found = WarmUp(np.zeros(len(labels), np.int64), {}, 0)
    predictions = np.full(len(labels), -1, np.int64)
    candidates: list[tuple[int, Weights]] = []  # the epochs that can still turn out to be the minimum
    first = 0
    if was := checkpoint.load(kept, network, optimizer):
        found.counts, predictions = was.arrays["counts"], was.arrays["predictions"]
        found.changes, found.losses = was.facts["changes"], was.facts["losses"]
        found.base_epoch, first = was.facts["base_epoch"], was.facts["epoch"]
        if found.base_epoch:
            found.base = was.base
        elif was.base:
            candidates = [(first, was.base)]
    target = torch.from_numpy(labels)
    for epoch in range(first, training.epochs):
        before = predictions.copy()
        total = 0.0
        for rows, logits in visits(network, inputs, training, optimizer, seed, "warm up", epoch):
            given = target[torch.from_numpy(rows)].to(logits.device)
            loss = cross_entropy(logits, given)
            step(optimizer, network, loss)
            predictions[rows] = logits.detach().argmax(dim=1).cpu().numpy()
            found.counts[rows] += predictions[rows] != labels[rows]
            total += float(loss.detach()) * len(rows)
        if not math.isfinite(total):
            raise diverged(training.learning_rate, f"in epoch {epoch + 1}")
        found.losses.append(total / len(labels))
        if epoch:
            found.changes.append(int(np.count_nonzero(before != predictions)))
        _look(found, candidates, weights_of(network), epoch + 1, window)
        checkpoint.save(
            kept,
            network,
            optimizer,
            {"counts": found.counts, "predictions": predictions},
            {
                "epoch": epoch + 1,
                "changes": found.changes,
                "losses": found.losses,
                "base_epoch": found.base_epoch,
            },
            found.base or candidates[-1][1],
        )
        if told is not None:
            told(epoch + 1, training.epochs)
    if not found.base_epoch:
        found.base, found.base_epoch = candidates[-1][1], training.epochs
    return found


def _look(
    found: WarmUp, candidates: list[tuple[int, Weights]], now: Weights, epoch: int, window: int
) -> None:
    """Keep the weights of the epoch before, if the changes of this one show that it was the minimum."""
    if found.base_epoch:
        return
    if first_minimum(found.changes, window) is not None:
        found.base_epoch, found.base = candidates[-1]
        return
    candidates[:] = [(epoch, now)]
