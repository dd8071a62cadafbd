"""The linear layers of a causal language model that influence is measured on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tasks.records import BadInput

Layers = Literal["attention", "mlp", "all"]

_ATTENTION = re.compile(r"(^|[._])(attn|attention|self_attn|self_attention)([._]|$)")
_LINEAR = ("Linear", "Conv1D")  # Conv1D is GPT-2's linear layer, with its weight the other way round


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A layer y = W x + b that takes part.

    Args:
        bias: b takes part too, as the weight of an input that is always 1.
    """

    module: Any
    bias: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs o and inputs i, the one for b among them."""
        rows, columns = self.module.weight.shape
        if type(self.module).__name__ == "Conv1D":
            rows, columns = columns, rows
        return rows, columns + self.bias

    def inputs(self, given: torch.Tensor) -> torch.Tensor:
        """What the layer was given, (b, t, i)."""
        return torch.nn.functional.pad(given, (0, 1), value=1.0) if self.bias else given


def linear_layers(model: Any, which: Layers = "attention", bias: bool = False) -> dict[str, LinearLayer]:
    """Linear layers by their names, in the model's order.

    A fused projection (GPT-2's c_attn, GPT-NeoX's query_key_value) is one layer, as it is one matrix. Output embeddings are
    never among them: their factor would be of the vocabulary's size.

    Args:
        model: a transformers causal language model.
        which: "attention", the projections of attention, which the paper puts first (arXiv 2409.16986); "mlp", the other
            linear layers of the blocks; or "all", both.
        bias: whether biases take part, of the layers that have one.

    Raises:
        BadInput: the model has no such layer.
    """
    output = model.get_output_embeddings()
    linear = {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__ in _LINEAR and module is not output
    }
    found = {
        name: LinearLayer(module, bias and module.bias is not None)
        for name, module in linear.items()
        if which == "all" or (which == "attention") == bool(_ATTENTION.search(name))
    }
    if not found:
        names = ", ".join(sorted({name.rpartition(".")[2] for name in linear})) or "none"
        raise BadInput(f"--layers {which}: the model has no such linear layer (it has: {names})")
    return found
