"""The linear layers of a causal language model that influence is measured on."""

from __future__ import annotations

import re
from typing import Any, Literal

from tasks.records import BadInput

Layers = Literal["attention", "mlp", "all"]

_ATTENTION = re.compile(r"(^|[._])(attn|attention|self_attn|self_attention)([._]|$)")
_LINEAR = ("Linear", "Conv1D")  # Conv1D is GPT-2's linear layer, with its weight the other way round


def linear_layers(model: Any, which: Layers = "attention") -> dict[str, Any]:
    """Linear layers by their names, in the model's order.

    A fused projection (GPT-2's c_attn, GPT-NeoX's query_key_value) is one layer, as it is one matrix. Output embeddings are
    never among them: their factor would be of the vocabulary's size.

    Args:
        model: a transformers causal language model.
        which: "attention", the projections of attention, which the paper puts first (arXiv 2409.16986); "mlp", the other
            linear layers of the blocks; or "all", both.

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
        name: module
        for name, module in linear.items()
        if which == "all" or (which == "attention") == bool(_ATTENTION.search(name))
    }
    if not found:
        names = ", ".join(sorted({name.rpartition(".")[2] for name in linear})) or "none"
        raise BadInput(f"--layers {which}: the model has no such linear layer (it has: {names})")
    return found


def shape_of(layer: Any) -> tuple[int, int]:
    """Outputs and inputs of a linear layer."""
    rows, columns = layer.weight.shape
    return (columns, rows) if type(layer).__name__ == "Conv1D" else (rows, columns)
