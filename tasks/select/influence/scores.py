"""Influence scores: g(reference)^T (H + damping)^-1 g(candidate), the larger the more a candidate's training helps the reference.

The reference's side is preconditioned once and held as a matrix V for each layer. A candidate's part of the score is then the
sum over its tokens of d^T V x, so that its gradient is never made: a forward, a backward without weights' gradients, and one
product as large as a layer's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.records import BadInput
from tasks.select.influence.capture import captured, passes
from tasks.select.influence.examples import squared_norms
from tasks.select.influence.factors import MEMORY, Factors, fingerprint, fit_factors
from tasks.select.influence.layers import Layers, LinearLayer, linear_layers
from tasks.storage.tables import atomic_path
from tasks.train.format import Examples, Ints


@dataclass(frozen=True, slots=True)
class Curvature:
    """How the reference's gradient is preconditioned.

    Args:
        layers, bias, projection: which layers take part, and how; see `linear_layers`.
        damping: added to the eigenvalues; None for 0.1 times their mean in each layer.
        plain: leave the curvature out, so that a score is a dot product of gradients.
    """

    layers: Layers = "attention"
    bias: bool = False
    projection: int | None = None
    damping: float | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Direction:
    """What candidates are compared with: the reference's preconditioned gradient.

    Args:
        matrices: of each layer, float32 (o, i).
        bias, projection: as its layers were taken; see `linear_layers`.
        unit: influence of the reference on itself for each of its tokens that bear loss. A candidate whose score is so much for
            each of its tokens helps the reference as much as text of its own kind would.
    """

    matrices: dict[str, torch.Tensor]
    bias: bool = False
    projection: int | None = None
    unit: float = 1.0

    @property
    def length(self) -> float:
        return math.sqrt(sum(float(matrix.double().square().sum()) for matrix in self.matrices.values()))

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        from safetensors.torch import save_file

        told = {"bias": self.bias, "projection": self.projection, "unit": self.unit}
        with atomic_path(path) as temporary:
            save_file(
                {name: matrix.cpu().contiguous() for name, matrix in self.matrices.items()},
                temporary,
                metadata={name: json.dumps(value) for name, value in told.items()},
            )

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Direction:
        """A direction as it was saved."""
        from safetensors import safe_open

        with safe_open(path, framework="pt", device=str(device)) as file:
            told = {name: json.loads(value) for name, value in file.metadata().items()}
            return cls({name: file.get_tensor(name) for name in file.keys()}, **told)  # noqa: SIM118 - no dictionary


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
        reference: r token sequences, whose loss is to fall; `tasks.train.format.from_sequences` makes them from r lists of token
            ids, of any lengths and without padding, and r counts of tokens at the start that bear no loss (a question's).
        candidates: n token sequences.
        fitted_on: sequences that the curvature is taken from; the candidates if None.
        curvature: which layers, and how; attention by default.
        factors: made before of this very model by `fit_factors` with the same layers, instead of fitting them; they can be saved.
        batch_tokens: of a batch, padding included; neither it nor the padding changes a score.
        memory: bytes to hold at once while factors are fitted; see `fit_factors`.

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
            projection=curvature.projection,
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
        BadInput: the model has none of the layers, the factors are of others, no example of the reference bears loss, or its
            gradient is not finite.
    """
    tokens = int(reference.loss_lengths.sum())
    if not tokens:
        raise BadInput("influence: no example of the reference has a token to foretell; give longer ones")
    modules = linear_layers(model, curvature.layers, curvature.bias, curvature.projection)
    gradient = mean_gradient(model, reference, modules, batch_tokens)
    matrices = gradient if curvature.plain else _preconditioned(model, gradient, factors, curvature.damping)
    own = sum(float((gradient[name].double() * matrix).sum()) for name, matrix in matrices.items())
    if not math.isfinite(own):
        raise BadInput(
            "influence: the reference's gradient is not finite; the model's weights may be damaged"
        )
    return Direction(matrices, curvature.bias, curvature.projection, own * len(reference) / tokens)


def _preconditioned(
    model: Any, gradient: dict[str, torch.Tensor], factors: Factors | None, damping: float | None
) -> dict[str, torch.Tensor]:
    if factors is None or {name: own.shape for name, own in gradient.items()} != factors.shapes:
        raise BadInput("influence: the factors are of other layers than are asked for; remove them")
    if factors.model != fingerprint(model):
        raise BadInput("influence: the factors are of another model, or of other weights of it; remove them")
    return {name: factors.layers[name].precondition(own, damping) for name, own in gradient.items()}


def mean_gradient(
    model: Any, examples: Examples, modules: Mapping[str, LinearLayer], batch_tokens: int
) -> dict[str, torch.Tensor]:
    """Gradient (o, i) of the layers' weights, of the loss summed over a sequence's tokens, mean over the sequences."""
    device = next(model.parameters()).device
    sums = {
        name: torch.zeros(module.shape, dtype=torch.float64, device=device)
        for name, module in modules.items()
    }

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        sums[name] += torch.einsum("bto,bti->oi", gradients, inputs)

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
    cosine: bool = False,
) -> np.ndarray:
    """The dot product of each candidate's gradient with a direction, in one forward and backward per batch.

    Args:
        cosine: of the angle between the two instead, -1 to 1, which does not grow with the gradient; it costs another product
            as large as a layer's own.

    Returns:
        float64 (n,); 0 where a candidate bears no loss.

    Raises:
        BadInput: a score is not finite.
    """
    (products,), squares = stream_products(model, [direction], candidates, batch_tokens, lengths=cosine)
    if wrong := int((~np.isfinite(products)).sum()):
        raise BadInput(
            f"influence: the scores of {wrong:,} of {len(products):,} texts are not finite; the model's weights may be damaged"
        )
    if not cosine:
        return np.asarray(products)
    lengths = np.sqrt(squares) * direction.length
    found: np.ndarray = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return found


def stream_products(
    model: Any,
    directions: Sequence[Direction],
    candidates: Examples,
    batch_tokens: int = 4096,
    lengths: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Dot products of the candidates' gradients with k directions, float64 (k, n), and their squared lengths, (n,), or zeros.

    Args:
        directions: of the same layers, taken alike.
    """
    first = directions[0]
    found, squares = np.zeros((len(directions), len(candidates))), np.zeros(len(candidates))
    if not first.matrices:
        return found, squares
    modules = linear_layers(model, "all", first.bias, first.projection, among=first.matrices)
    parts: list[torch.Tensor] = []  # of each layer, (k, b)
    own_squares: list[torch.Tensor] = []

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        products = (
            torch.linalg.vecdot(gradients, inputs @ direction.matrices[name].T).sum(1, dtype=torch.float64)
            for direction in directions
        )
        parts.append(torch.stack(list(products)))
        if lengths:
            own_squares.append(squared_norms(inputs, gradients).double())

    def before(rows: Ints, places: torch.Tensor) -> None:
        parts.clear()
        own_squares.clear()

    with captured(model, modules, use):
        for rows in passes(model, candidates, batch_tokens, before):
            if parts:  # a batch of sequences of one token bears no loss
                found[:, rows] = torch.stack(parts).sum(0).cpu().numpy()
            if own_squares:
                squares[rows] = torch.stack(own_squares).sum(0).cpu().numpy()
    return found, squares
