"""The linear layers of a causal language model that influence is measured on."""

from __future__ import annotations

import math
import re
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch

from tasks.records import BadInput
from tasks.run.seeds import generator

Layers = Literal["attention", "mlp", "all"]

_ATTENTION = re.compile(r"(^|[._])(attn|attention|self_attn|self_attention)([._]|$)")


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A layer y = W x + b that takes part.

    Args:
        bias: b takes part too, as the weight of an input that is always 1.
        into: random projections of inputs, (inputs, i), and of output gradients, (outputs, o); None leaves a side as it is.
    """

    module: Any
    bias: bool = False
    into: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows o and columns i of its gradient: outputs and inputs, the one for b among them, or what these are projected to."""
        columns, rows = (
            own if matrix is None else matrix.shape[1]
            for own, matrix in zip(_sides(self.module, self.bias), self.into, strict=True)
        )
        return rows, columns

    def inputs(self, given: torch.Tensor) -> torch.Tensor:
        """Float32 (b, t, i) of what the layer was given."""
        given = torch.nn.functional.pad(given, (0, 1), value=1.0) if self.bias else given
        return _projected(given, self.into[0])

    def gradients(self, of_outputs: torch.Tensor) -> torch.Tensor:
        """Float32 (b, t, o) of the gradient of what the layer gave."""
        return _projected(of_outputs, self.into[1])


def linear_layers(
    model: Any,
    which: Layers = "attention",
    bias: bool = False,
    projection: int | None = None,
    among: Container[str] | None = None,
) -> dict[str, LinearLayer]:
    """Linear layers by their names, in the model's order.

    A fused projection (GPT-2's c_attn, GPT-NeoX's query_key_value) is one layer, as it is one matrix. Output embeddings are
    never among them: their factor would be of the vocabulary's size.

    Args:
        model: a transformers causal language model.
        which: "attention", the projections of attention, which the paper puts first (arXiv 2409.16986); "mlp", all
            others; or "all", both.
        bias: whether biases take part, of the layers that have one.
        projection: project inputs and output gradients of a layer to so many dimensions each, where they have more. The
            projection of a layer is the same whenever it is asked for, so both sides of a dot product have the same.
        among: only layers of these names.

    Raises:
        BadInput: the model has no such layer.
    """
    output = model.get_output_embeddings()
    linear = {
        name: module for name, module in model.named_modules() if _is_linear(module) and module is not output
    }
    found = {
        name: _layer(name, module, bias and module.bias is not None, projection)
        for name, module in linear.items()
        if (which == "all" or (which == "attention") == bool(_ATTENTION.search(name)))
        and (among is None or name in among)
    }
    if not found:
        names = ", ".join(sorted({name.rpartition(".")[2] for name in linear})) or "none"
        raise BadInput(f"influence on {which}: the model has no such linear layer (it has: {names})")
    return found


def _is_linear(module: Any) -> bool:
    """Conv1D is GPT-2's linear layer, with its weight the other way round; Falcon's is a subclass of torch's."""
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"


def _layer(name: str, module: Any, bias: bool, projection: int | None) -> LinearLayer:
    if projection is None:
        return LinearLayer(module, bias)
    inputs, outputs = (
        _rademacher(f"{name} {side}", size, projection, module.weight.device) if size > projection else None
        for side, size in zip(("inputs", "outputs"), _sides(module, bias), strict=True)
    )
    return LinearLayer(module, bias, (inputs, outputs))


def _sides(module: Any, bias: bool) -> tuple[int, int]:
    """Inputs, the one for a bias among them, and outputs of a layer."""
    outputs, inputs = module.weight.shape
    if type(module).__name__ == "Conv1D":
        outputs, inputs = inputs, outputs
    return inputs + bias, outputs


@lru_cache(maxsize=1024)  # of a model's layers; scoring asks for them again and again
def _rademacher(name: str, size: int, dimensions: int, device: torch.device) -> torch.Tensor:
    """Random signs (size, dimensions) over the root of the dimensions: dot products stay as they are on average.

    A gradient d^T x becomes (d Q)^T (x P), a projection by the Kronecker product of P and Q that is never made (LoGra: Choe et
    al., arXiv 2405.13954, section 3).
    """
    signs = generator(0, "projection", name, str(dimensions)).choice((-1.0, 1.0), size=(size, dimensions))
    return torch.from_numpy(signs / math.sqrt(dimensions)).to(device, torch.float32)


def _projected(values: torch.Tensor, into: torch.Tensor | None) -> torch.Tensor:
    return values.float() if into is None else values.float() @ into
