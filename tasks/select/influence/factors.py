"""EK-FAC (George et al., NeurIPS 2018; Grosse et al., arXiv 2308.03296): the Fisher of a linear layer in a Kronecker basis.

With inputs x and output gradients d of a layer, A = E[x x^T] = Q_A L_A Q_A^T and S = E[d d^T] = Q_S L_S Q_S^T over tokens; the
Fisher of the layer's weight is taken to be diagonal in the basis Q_S x Q_A, with Lambda = E[(Q_S^T G Q_A)^2] over sequences, G
being the gradient of a sequence's summed loss. It is the empirical Fisher: of the tokens that stand in the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tasks.records import BadInput
from tasks.select.influence.capture import captured, passes
from tasks.select.influence.layers import Layers, LinearLayer, linear_layers
from tasks.storage.tables import atomic_path
from tasks.train.format import Examples, Ints

DAMPING = 0.1  # times the mean of Lambda, where no damping is given (Grosse et al., section 2.2)
MEMORY = (
    1 << 30
)  # bytes that the fitting holds at once, beside the model, its activations and what is fitted: 1 GiB


@dataclass(frozen=True, slots=True)
class LayerFactors:
    """Of one layer with i inputs and o outputs.

    Args:
        inputs: Q_A, float32 (i, i), eigenvectors as columns.
        outputs: Q_S, float32 (o, o).
        eigenvalues: Lambda, float32 (o, i).
    """

    inputs: torch.Tensor
    outputs: torch.Tensor
    eigenvalues: torch.Tensor

    def precondition(self, gradient: torch.Tensor, damping: float | None = None) -> torch.Tensor:
        """(Fisher + damping)^-1 of a gradient (o, i); without a damping DAMPING times the layer's mean eigenvalue."""
        inputs, outputs, eigenvalues = (
            own.to(gradient.device) for own in (self.inputs, self.outputs, self.eigenvalues)
        )
        if damping is None:
            damping = DAMPING * float(eigenvalues.mean())
        rotated = outputs.T @ gradient @ inputs
        return outputs @ (rotated / (eigenvalues + damping)) @ inputs.T


@dataclass(frozen=True, slots=True)
class Factors:
    """Of a model's layers, in the main memory wherever the model is.

    Args:
        layers: by name.
        model: fingerprint of the weights that they are of.
    """

    layers: dict[str, LayerFactors]
    model: str

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Outputs and inputs of each layer."""
        return {name: layer.eigenvalues.shape for name, layer in self.layers.items()}

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        from safetensors.torch import save_file

        tensors = {
            f"{name}/{part}": getattr(layer, part).contiguous()
            for name, layer in self.layers.items()
            for part in LayerFactors.__slots__
        }
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"model": self.model})

    @classmethod
    def load(cls, path: Path) -> Factors:
        """Factors as they were saved.

        Raises:
            BadInput: it is no file of factors.
        """
        from safetensors import SafetensorError, safe_open

        found: dict[str, dict[str, torch.Tensor]] = {}
        try:
            with safe_open(path, framework="pt") as file:
                model = (file.metadata() or {})["model"]
                for key in file.keys():  # noqa: SIM118 - it is no dictionary
                    name, _, part = key.rpartition("/")
                    found.setdefault(name, {})[part] = file.get_tensor(key)
            layers = {name: LayerFactors(**parts) for name, parts in found.items()}
        except (OSError, SafetensorError, LookupError, TypeError) as error:
            raise BadInput(f"{path}: cannot be read as factors ({type(error).__name__}); remove it") from None
        return cls(layers, model)


def fit_factors(
    model: Any,
    examples: Examples,
    layers: Layers = "attention",
    *,
    bias: bool = False,
    projection: int | None = None,
    batch_tokens: int = 4096,
    memory: int = MEMORY,
) -> Factors:
    """EK-FAC factors of a model's layers, in two passes over the examples for every group of layers that fits the memory.

    Args:
        examples: n sequences of the text that the model is (to be) trained on; some hundred give stable factors.
        layers, bias, projection: which, and how; see `linear_layers`.
        batch_tokens: of a batch, padding included; what its activations take is not part of `memory`.
        memory: bytes to hold at once beside the finished factors, half of them for matrices of layers (a single layer that
            needs more has a group of its own), half for gradients of single sequences (one at least). It changes the time, and
            no factor.

    Raises:
        BadInput: no such layers, one that the model does not call or calls twice, no example that bears loss, or values that are not finite.
    """
    modules = linear_layers(model, layers, bias, projection)
    if not examples.loss_lengths.any():
        raise BadInput("influence: no text of at least two tokens to take the curvature from")
    found: dict[str, LayerFactors] = {}
    for group in _groups(modules, memory // 2):
        sums = _covariances(model, group, examples, batch_tokens)
        if unseen := [
            name for name in group if name not in sums
        ]:  # Mamba's dt_proj: its weight alone is used
            raise BadInput(f"influence: the model does not call its layer {unseen[0]}; give other --layers")
        if not all(bool(own.isfinite().all()) for pair in sums.values() for own in pair):
            raise BadInput(
                "influence: the model's values or gradients are not finite; its weights may be damaged"
            )
        bases = {name: _basis(*sums.pop(name)) for name in group}
        squares = _squares(model, group, bases, examples, batch_tokens, memory // 2)
        for name in group:
            parts = (*bases[name], (squares[name] / len(examples)).float())
            found[name] = LayerFactors(*(part.cpu() for part in parts))
    return Factors(found, fingerprint(model))


def _groups(modules: Mapping[str, LinearLayer], memory: int) -> Iterator[dict[str, LinearLayer]]:
    """Layers in their order, in groups whose covariances, bases and squares fit into so many bytes."""
    group: dict[str, LinearLayer] = {}
    taken = 0
    for name, module in modules.items():
        outputs, inputs = module.shape
        own = 12 * (outputs**2 + inputs**2) + 8 * outputs * inputs  # float64 sums, float32 bases
        if group and taken + own > memory:
            yield group
            group, taken = {}, 0
        group[name] = module
        taken += own
    yield group


def fingerprint(model: Any) -> str:
    """Of a model's weights: their names, shapes, and some of their values."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        some = parameter.detach().flatten()[:: max(1, parameter.numel() // 1024)].float().cpu().numpy()
        digest.update(json.dumps([name, list(parameter.shape)]).encode() + some.tobytes())
    return digest.hexdigest()[:16]


def _covariances(
    model: Any, modules: Mapping[str, LinearLayer], examples: Examples, batch_tokens: int
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Sums of x x^T and d d^T over all tokens, float64; their scale does not matter, only their eigenvectors do."""
    sums: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    real = torch.zeros(0)

    def before(rows: Ints, places: torch.Tensor) -> None:
        nonlocal real
        real = places

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        # Padding bears no loss, and nothing that does sees it: its gradients are zero, but its inputs are not.
        given, wanted = inputs[real], gradients[real]
        own = ((given.T @ given).double(), (wanted.T @ wanted).double())
        before_these = sums.get(name)
        sums[name] = own if before_these is None else (before_these[0] + own[0], before_these[1] + own[1])

    with captured(model, modules, use):
        for _ in passes(model, examples, batch_tokens, before):
            pass
    return sums


def _basis(inputs: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvectors of two symmetric matrices, float32. Decomposed as float64: small eigenvalues drown in float32."""
    return torch.linalg.eigh(inputs)[1].float(), torch.linalg.eigh(outputs)[1].float()


def _squares(
    model: Any,
    modules: Mapping[str, LinearLayer],
    bases: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    examples: Examples,
    batch_tokens: int,
    memory: int,
) -> dict[str, torch.Tensor]:
    """Sums over sequences of their squared gradients in the bases, float64 (o, i)."""
    device = next(model.parameters()).device
    sums = {
        name: torch.zeros(module.shape, dtype=torch.float64, device=device)
        for name, module in modules.items()
    }

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        basis_in, basis_out = bases[name]
        given, wanted = inputs @ basis_in, gradients @ basis_out
        at_once = max(1, memory // (4 * sums[name].numel()))
        for first in range(0, len(given), at_once):
            some = slice(first, first + at_once)
            rotated = torch.einsum("bto,bti->boi", wanted[some], given[some])
            sums[name] += rotated.square_().sum(0, dtype=torch.float64)

    with captured(model, modules, use):
        for _ in passes(model, examples, batch_tokens):
            pass
    return sums
