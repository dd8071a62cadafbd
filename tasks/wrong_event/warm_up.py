"""The first stage: plain training on the given labels that counts wrong events and finds the epoch to go on from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tasks.classify.inputs import Inputs
from tasks.classify.training import Training, adamw, step, visits
from tasks.train.finetune import diverged
from tasks.wrong_event import checkpoint
from tasks.wrong_event.agreement import agreement, telling_epoch
from tasks.wrong_event.beta_mixture import EventModel
from tasks.wrong_event.checkpoint import EpochWeights, Weights
from tasks.wrong_event.label_wave import first_minimum

Told = Callable[[int, int], None]


@dataclass(slots=True)
class WarmUp:
    """What the first stage leaves.

    Args:
        counts: wrong events of each row, int64 (n,).
        base: weights to go on from.
        base_epoch: the epoch they are of, from 1.
        changes: predictions that changed from one epoch to the next, from the second epoch on.
        agreement: of each epoch, shares of the rows likely right and of those likely wrong whose label was predicted; empty with Label
            Wave.
        losses: mean over the rows of each epoch, nats.
    """

    counts: np.ndarray
    base: Weights
    base_epoch: int
    changes: list[int]
    agreement: list[tuple[float, float]]
    losses: list[float]


def warm_up(
    network: nn.Module,
    inputs: Inputs,
    labels: np.ndarray,
    training: Training,
    *,
    seed: int,
    judge: EventModel | None = None,
    window: int = 3,
    kept: Path | None = None,
    told: Told | None = None,
) -> WarmUp:
    """Train a network, in place, by cross entropy on the given labels.

    A wrong event of a row is a visit at which the network's first choice (in training mode, before the step that the visit
    is for) is not the given label.

    Args:
        labels: given, int64 (n,).
        judge: says in the end which labels are likely right, for `telling_epoch`; None goes on from Label Wave's epoch, or the last if
            there is none.
        window: of `first_minimum`.
        kept: folder of the checkpoint, renewed after every epoch; None keeps none.
        told: called after every epoch with its number and that of all.
    """
    optimizer = adamw(network, training.learning_rate)
    weights = EpochWeights(kept)
    predictions = np.full((training.epochs, len(labels)), -1, np.int32)
    losses: list[float] = []
    if was := checkpoint.load(kept, network, optimizer):
        predictions, losses = was.arrays["predictions"], was.facts["losses"]
    target = torch.from_numpy(labels)
    for epoch in range(len(losses), training.epochs):
        total = 0.0
        for rows, logits in visits(network, inputs, training, optimizer, seed, "warm up", epoch):
            given = target[torch.from_numpy(rows)].to(logits.device)
            loss = cross_entropy(logits, given)
            step(optimizer, network, loss)
            predictions[epoch, rows] = logits.detach().argmax(dim=1).cpu().numpy()
            total += float(loss.detach()) * len(rows)
        if not math.isfinite(total):
            raise diverged(training.learning_rate, f"in epoch {epoch + 1}")
        losses.append(total / len(labels))
        weights.keep(epoch, network)
        checkpoint.save(kept, network, optimizer, {"predictions": predictions}, {"losses": losses})
        if told is not None:
            told(epoch + 1, training.epochs)
    agree = predictions == labels
    counts = training.epochs - agree.sum(axis=0)
    changes = np.count_nonzero(predictions[1:] != predictions[:-1], axis=1).tolist()
    shares: list[tuple[float, float]] = []
    if judge is None:
        place = first_minimum(changes, window)
        base = training.epochs if place is None else place + 2  # changes begin with the second epoch
    else:
        # Not settled: after so few visits the noisy component may yet lie low where labels are wrong.
        judge.update(counts, training.epochs)
        clean = judge.clean(counts)
        shares, base = agreement(agree, clean), telling_epoch(agree, clean) + 1
    return WarmUp(counts, weights.of(base - 1), base, changes, shares, losses)
