"""Where models compute in bfloat16: on a GPU, and on a processor that multiplies it itself."""

from __future__ import annotations

from typing import Any

import torch

from tasks.train.training import is_small


def in_bfloat16(model: Any, device: torch.device) -> bool:
    """Whether the model is to compute in bfloat16 there, because it is faster.

    On a processor small models are left in float32: they have little to gain, and the same tables on every machine to lose.
    """
    return device.type == "cuda" or (multiplies_bfloat16() and not is_small(model))


def autocast(model: Any) -> torch.autocast:
    """Inside, products are made in bfloat16 where that is faster; weights stay float32, and so do sums over many numbers."""
    device = next(model.parameters()).device
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=in_bfloat16(model, device))


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it (AVX512-BF16, AMX); others only convert it, which takes longer."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
