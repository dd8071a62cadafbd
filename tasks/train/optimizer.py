"""An optimiser's moments at rest, as safetensors: what a training goes on from beside its weights."""

from __future__ import annotations

from pathlib import Path

import torch


def save_moments(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Write the state of every parameter; the settings of its groups are the caller's."""
    from safetensors.torch import save_file

    moments = {
        f"{parameter}.{name}": value.cpu().contiguous()
        for parameter, own in optimizer.state_dict()["state"].items()
        for name, value in own.items()
    }
    save_file(moments, path)


def load_moments(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Put back what `save_moments` wrote of an optimiser of the same parameters."""
    from safetensors.torch import load_file

    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(path).items():
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
