"""Gradients of single examples out of the backward pass of a training step: their lengths, and a sketch for their angles.

A batch's backward pass gives the sum of its examples' gradients. Each example's own is d^T x in every linear layer (see
`capture`), of which no more is made than two numbers of use need: the squared length, by the ghost norm, and a random
projection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from tasks.run.seeds import integer
from tasks.select.influence.capture import hooked
from tasks.select.influence.layers import LinearLayer, linear_layers


@dataclass(frozen=True, slots=True)
class Seen:
    """What a backward pass showed of its b examples, summed over the layers.

    Args:
        squares: squared lengths of their gradients, float32 (b,).
        sketches: projections of their gradients, float32 (b, width^2); inner products estimate those of the gradients.
    """

    squares: torch.Tensor
    sketches: torch.Tensor


class GradientSketch:
    """Squared lengths and projections of gradients of the linear layers that are trained.

    A layer's gradient G (o, i) is projected to A^T G B with A (o, width) and B (i, width) of normal numbers, which is a
    random projection by the Kronecker product of both (LoGra: Choe et al., 2024, arXiv 2405.13954, section 3.1): of d^T x it
    is (d A)^T (x B), so no gradient has to be made. Projections of the layers are added up. Inner products come out right in
    the mean, with an error of the order of sqrt(2 / width) of the lengths for a single layer and less for many.

    Args:
        model: a causal language model; its embeddings, norms, biases and output layer are not looked at.
        width: of the projection's two sides.
        seed: of the projection.

    Raises:
        BadInput: the model has no linear layer that is trained.
    """

    def __init__(self, model: Any, width: int = 32, seed: int = 0) -> None:
        self.layers = trained_layers(model)
        self._model = model
        self.width = width
        self._sides = {
            name: tuple(
                _normal(size, width, integer(seed, "sketch", name, side)).to(layer.module.weight.device)
                for side, size in zip(("out", "in"), layer.shape, strict=True)
            )
            for name, layer in self.layers.items()
        }

    @contextmanager
    def seen(self, examples: int) -> Iterator[Seen]:
        """Inside, one backward pass of a loss over so many examples; then what is given holds what it showed."""
        device = next(iter(self.layers.values())).module.weight.device
        found = Seen(
            torch.zeros(examples, device=device), torch.zeros(examples, self.width**2, device=device)
        )

        def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
            inputs, gradients = inputs.float(), gradients.float()
            found.squares.add_(squared_norms(inputs, gradients))
            outer, inner = self._sides[name]
            found.sketches.add_(torch.einsum("btp,btq->bpq", gradients @ outer, inputs @ inner).flatten(1))

        with hooked(self._model, self.layers, use):
            yield found

    def of(self, matrices: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The projection of one matrix (o, i) for each layer, (width^2,)."""
        sketch = torch.zeros(self.width, self.width, device=next(iter(matrices.values())).device)
        for name, matrix in matrices.items():
            outer, inner = self._sides[name]
            sketch += outer.T @ matrix.float() @ inner
        return sketch.flatten()


def squared_norms(inputs: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius norms of d^T x, (b,).

    As sum_ts (x_t . x_s)(d_t . d_s), the ghost norm, where sequences are short beside the layer, or else of the matrix
    itself (Bu et al., 2022, arXiv 2205.10683, section 4: whichever of 2 t^2 and o i is smaller).

    Args:
        inputs: x, (b, t, i).
        gradients: d, of the layer's outputs, (b, t, o); 0 at padding.
    """
    length, i, o = inputs.shape[1], inputs.shape[2], gradients.shape[2]
    if 2 * length**2 < o * i:
        products = (inputs @ inputs.mT).mul_(gradients @ gradients.mT)
        return products.sum((1, 2)).clamp_min_(0)
    return torch.einsum("bto,bti->boi", gradients, inputs).square().sum((1, 2))


def trained_layers(model: Any) -> dict[str, LinearLayer]:
    """The linear layers of the blocks whose own weights are trained: with LoRA its pairs of small matrices alone."""
    return {
        name: layer for name, layer in linear_layers(model, "all").items() if _weight(layer).requires_grad
    }


def gradient_of(layer: LinearLayer) -> torch.Tensor:
    """The gradient of a layer's weight after a backward pass, (o, i)."""
    return _as_shaped(layer, _weight(layer).grad)


def weight_of(layer: LinearLayer) -> torch.Tensor:
    """A layer's weight, (o, i)."""
    return _as_shaped(layer, _weight(layer).detach())


def _weight(layer: LinearLayer) -> Any:
    return layer.module.weight


def _as_shaped(layer: LinearLayer, weight: Any) -> torch.Tensor:
    """Conv1D keeps its weight as (i, o)."""
    found: torch.Tensor = weight.T if type(layer.module).__name__ == "Conv1D" else weight
    return found


def _normal(rows: int, columns: int, seed: int) -> torch.Tensor:
    """Normal numbers of variance 1 / columns, the same on every machine."""
    drawn = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    return drawn.div_(columns**0.5)
