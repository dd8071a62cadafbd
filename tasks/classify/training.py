"""Passes over rows in batches: what every training of a classifier goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import nn

from tasks.classify.inputs import WEAK, Inputs, joined, order
from tasks.run.seeds import generator, integer


@dataclass(frozen=True, slots=True)
class Training:
    """How a stage trains.

    Args:
        epochs: passes over the rows.
        learning_rate: of AdamW.
        batch: rows.
    """

    epochs: int
    learning_rate: float
    batch: int = 64


def batches(
    network: nn.Module,
    inputs: Inputs,
    training: Training,
    seed: int,
    stage: str,
    epoch: int,
    views: Sequence[bool] = (WEAK,),
) -> Iterator[tuple[Any, Any]]:
    """Rows of each batch of an epoch, and what the network reads of them, which is then in training mode.

    Args:
        views: weak or strong; those of a batch stand one after the other, to go through the network together.
    """
    random = generator(seed, stage, epoch)
    with torch.random.fork_rng():  # dropout draws from torch's global stream
        torch.manual_seed(integer(seed, stage, "dropout", epoch))
        network.train()
        for rows in order(len(inputs), training.batch, random):
            yield rows, reduce(joined, [inputs.view(rows, strong, random) for strong in views])


def step(optimizer: torch.optim.Optimizer, network: nn.Module, loss: torch.Tensor, norm: float = 5.0) -> None:
    """One step; a gradient longer than `norm` is cut to it."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), norm)
    optimizer.step()


def adamw(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01, fused=True)
