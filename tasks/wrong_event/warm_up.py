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

from tasks.classify.inputs import STRONG, WEAK, Inputs
from tasks.classify.networks import logits_of
from tasks.classify.training import Training, adamw, batches, step
from tasks.train.finetune import diverged
from tasks.wrong_event import checkpoint
from tasks.wrong_event.agreement import agreement, telling_epoch
from tasks.wrong_event.beta_mixture import EventModel
from tasks.wrong_event.checkpoint import EpochWeights, Weights
from tasks.wrong_event.label_wave import first_minimum
from tasks.wrong_event.loss import balance

Told = Callable[[int, int], None]


@dataclass(slots=True)
class WarmUp:
    """What the first stage leaves.

    Args:
        counts: wrong events of each row, int64 (n,).
        visits: to each row.
        base: weights to go on from.
        base_epoch: the epoch they are of, from 1.
        changes: predictions of the rows as they are that changed from one epoch to the next, from the second epoch on.
        agreement: of each epoch, shares of the rows likely right and of those likely wrong whose label was predicted; empty with Label
            Wave.
        losses: mean over the rows of each epoch, nats.
    """

    counts: np.ndarray
    visits: int
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
    shares: torch.Tensor | None = None,
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
        shares: of the classes, which predictions are kept near (see `balance`); every row is then seen in two views, each a visit,
            so that it is not so soon learnt by heart. None is the paper's way: one view, and cross entropy alone.
        judge: says in the end which labels are likely right, for `telling_epoch`; None goes on from Label Wave's epoch, or the last if
            there is none.
        window: of `first_minimum`.
        kept: folder of the checkpoint, renewed after every epoch; None keeps none.
        told: called after every epoch with its number and that of all.
    """
    optimizer = adamw(network, training.learning_rate)
    weights = EpochWeights(kept)
    views = (WEAK,) if shares is None else (WEAK, STRONG)
    predictions = np.full((training.epochs, len(views), len(labels)), -1, np.int32)
    losses: list[float] = []
    if was := checkpoint.load(kept, network, optimizer):
        predictions, losses = was.arrays["predictions"], was.facts["losses"]
    target = torch.from_numpy(labels)
    for epoch in range(len(losses), training.epochs):
        total = 0.0
        for rows, read in batches(network, inputs, training, seed, "warm up", epoch, views):
            logits, given = logits_of(network, read), target[torch.from_numpy(rows)].repeat(len(views))
            loss = cross_entropy(logits, given.to(logits.device))
            if shares is not None:
                loss = loss + balance(logits.softmax(dim=1), shares)
            step(optimizer, network, loss)
            predicted = logits.detach().argmax(dim=1).cpu().numpy()
            predictions[epoch][:, rows] = predicted.reshape(len(views), -1)
            total += float(loss.detach()) * len(rows)
        if not math.isfinite(total):
            raise diverged(training.learning_rate, f"in epoch {epoch + 1}")
        losses.append(total / len(labels))
        weights.keep(epoch, network)
        checkpoint.save(kept, network, optimizer, {"predictions": predictions}, {"losses": losses})
        if told is not None:
            told(epoch + 1, training.epochs)
    agree = predictions == labels
    seen = training.epochs * len(views)
    counts = seen - agree.sum(axis=(0, 1))
    as_they_are = predictions[:, 0]
    changes = np.count_nonzero(as_they_are[1:] != as_they_are[:-1], axis=1).tolist()
    told_apart: list[tuple[float, float]] = []
    if judge is None:
        place = first_minimum(changes, window)
        base = training.epochs if place is None else place + 2  # changes begin with the second epoch
    else:
        # Not settled: after so few visits the noisy component may yet lie low where labels are wrong.
        judge.update(counts, seen)
        clean, predicted = judge.clean(counts), agree.mean(axis=1)
        told_apart, base = agreement(predicted, clean), telling_epoch(predicted, clean) + 1
    return WarmUp(counts, seen, weights.of(base - 1), base, changes, told_apart, losses)
