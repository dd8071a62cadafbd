"""Where an interrupted training goes on: weights, optimiser, arrays and figures after an epoch, as safetensors and JSON.

Random streams are made afresh from the seed and the epoch's number and have no state to keep, so that an interrupted
training goes through the same numbers as one that was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.storage.tables import atomic_folder, atomic_path, read_json, write_json
from tasks.train.optimizer import load_moments, save_moments

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a checkpoint holds beside weights and moments."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def save(
    path: Path | None,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all; without a path nothing is kept."""
    if path is None:
        return
    from safetensors.numpy import save_file as save_arrays
    from safetensors.torch import save_file

    with atomic_folder(path) as at:
        save_file(weights_of(network), at / "network.safetensors")
        save_moments(optimizer, at / "optimizer.safetensors")
        save_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()}, at / "arrays")
        write_json(at / "facts.json", dict(facts))


def load(path: Path | None, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Kept | None:
    """Put back what `save` wrote; None where there is nothing."""
    if path is None or not (path / "facts.json").is_file():
        return None
    from safetensors.numpy import load_file as load_arrays
    from safetensors.torch import load_file

    network.load_state_dict(load_file(path / "network.safetensors"))
    load_moments(optimizer, path / "optimizer.safetensors")
    return Kept(load_arrays(path / "arrays"), read_json(path / "facts.json"))


class EpochWeights:
    """A network's weights after every epoch, until it is known which are wanted: files beside a checkpoint, or in memory.

    Args:
        path: of the checkpoint; None has them in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._folder = path and path.with_name(f"{path.name}-epochs")
        self._held: dict[int, Weights] = {}

    def keep(self, epoch: int, network: torch.nn.Module) -> None:
        from safetensors.torch import save_file

        if self._folder is None:
            self._held[epoch] = weights_of(network)
            return
        with atomic_path(self._folder / f"{epoch}.safetensors") as made:
            save_file(weights_of(network), made)

    def of(self, epoch: int) -> Weights:
        from safetensors.torch import load_file

        if self._folder is None:
            return self._held[epoch]
        weights: Weights = load_file(self._folder / f"{epoch}.safetensors")
        return weights


def weights_of(network: torch.nn.Module) -> Weights:
    """A copy of a network's weights, on the CPU, that further training does not touch."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
