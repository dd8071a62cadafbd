"""Influence scores: g(reference)^T (H + damping)^-1 g(candidate), the larger the more a candidate's training helps the reference.

The reference's side is preconditioned once and held as a matrix V for each layer. A candidate's part of the score is then the
sum over its tokens of d^T V x, so that its gradient is never made: a forward, a backward without weights' gradients, and one
product as large as a layer's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tasks.records import BadInput
from tasks.select.influence.capture import captured, passes
from tasks.select.influence.factors import MEMORY, Factors, fingerprint, fit_factors
from tasks.select.influence.layers import Layers, LinearLayer, linear_layers
from tasks.train.format import Examples, Ints

Direction = dict[str, torch.Tensor]
"""A matrix (o, i) for each layer, float32."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """How the reference's gradient is preconditioned.

    Args:
        layers, bias: that take part; see `linear_layers`.
        damping: added to the eigenvalues; None for 0.1 times their mean in each layer.
        plain: leave the curvature out, so that a score is a dot product of gradients.
    """

    layers: Layers = "attention"
    bias: bool = False
    damping: float | None = None
    plain: bool = False


def influence_scores(
    model: Any,
    reference: Examples,
    candidates: Examples,
    *,
    fitted_on: Examples | None = None,
    curvature: Curvature | None = None,
    factors: Factors | None = None,
    batch_tokens: int = 4096,
    memory: int = MEMORY,
) -> np.ndarray:
    """Influence of every candidate on the mean loss of the reference, by one model.

    Args:
        model: a transformers causal language model, on its device; it comes back as it was.
        reference: r token sequences (`tasks.train.format.Examples`), whose loss is to fall.
        candidates: n token sequences.
        fitted_on: sequences that the curvature is taken from; the candidates if None.
        factors: made before of this very model, instead of fitting them.
        batch_tokens: of a batch, padding included; neither it nor the padding changes a score.
        memory: bytes of single sequences' gradients that are held at once while factors are fitted.

    Returns:
        Scores, float64 (n,); positive where training on the candidate lowers the reference's loss.

    Raises:
        BadInput: the model has none of the layers, or the factors are not its own.
    """
    curvature = curvature or Curvature()
    if factors is None and not curvature.plain:
        factors = fit_factors(
            model,
            candidates if fitted_on is None else fitted_on,
            curvature.layers,
            bias=curvature.bias,
            batch_tokens=batch_tokens,
            memory=memory,
        )
    direction = reference_direction(model, reference, curvature, factors, batch_tokens=batch_tokens)
    return stream_scores(model, direction, candidates, batch_tokens=batch_tokens)


def reference_direction(
    model: Any,
    reference: Examples,
    curvature: Curvature,
    factors: Factors | None,
    *,
    batch_tokens: int = 4096,
) -> Direction:
    """The reference's mean gradient, preconditioned: what candidates are compared with.

    Raises:
        BadInput: the model has none of the layers, or the factors are of others.
    """
    modules = linear_layers(model, curvature.layers, curvature.bias)
    gradient = mean_gradient(model, reference, modules, batch_tokens)
    if curvature.plain:
        return gradient
    if factors is None or {name: own.shape for name, own in gradient.items()} != factors.shapes:
        raise BadInput("influence: the factors are of other layers than are asked for; remove them")
    if factors.model != fingerprint(model):
        raise BadInput("influence: the factors are of another model, or of other weights of it; remove them")
    return {name: factors.layers[name].precondition(own, curvature.damping) for name, own in gradient.items()}


def mean_gradient(
    model: Any, examples: Examples, modules: Mapping[str, LinearLayer], batch_tokens: int
) -> Direction:
    """Gradient of the layers' weights, of the loss summed over a sequence's tokens, mean over the sequences."""
    device = next(model.parameters()).device
    sums = {
        name: torch.zeros(module.shape, dtype=torch.float64, device=device)
        for name, module in modules.items()
    }

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        sums[name] += torch.einsum("bto,bti->oi", gradients.float(), inputs.float())

    with captured(model, modules, use):
        for _ in passes(model, examples, batch_tokens):
            pass
    return {name: (total / max(1, len(examples))).float() for name, total in sums.items()}


def stream_scores(
    model: Any,
    direction: Direction,
    candidates: Examples,
    *,
    batch_tokens: int = 4096,
) -> np.ndarray:
    """The dot product of each candidate's gradient with a direction, in one forward and backward per batch.

    Returns:
        float64 (n,).
    """
    modules = {
        name: layer for name, layer in linear_layers(model, "all", bias=True).items() if name in direction
    }
    # Biases take part where the direction has a column for them.
    modules = {
        name: layer if layer.shape == tuple(direction[name].shape) else replace(layer, bias=False)
        for name, layer in modules.items()
    }
    scores = np.zeros(len(candidates))
    parts: list[torch.Tensor] = []

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        products = gradients.float() * (inputs.float() @ direction[name].T)
        parts.append(products.flatten(1).sum(1, dtype=torch.float64))

    def before(rows: Ints, places: torch.Tensor) -> None:
        parts.clear()

    with captured(model, modules, use):
        for rows in passes(model, candidates, batch_tokens, before):
            if parts:  # a batch of sequences of one token bears no loss
                scores[rows] = torch.stack(parts).sum(0).cpu().numpy()
    return scores
