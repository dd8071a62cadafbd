"""Gradients of single examples out of one backward pass, against autograd's, with padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from causal_models import make_examples, make_model

from tasks.select.influence.examples import (
    GradientSketch,
    gradient_of,
    squared_norms,
    trained_layers,
)
from tasks.train.finetune import answer_losses
from tasks.train.format import IGNORED, pad

CPU = torch.device("cpu")


def alone(model: Any, examples: Any, row: int) -> dict[str, torch.Tensor]:
    """Gradients of one example's summed loss, in a batch of its own, by autograd."""
    model.zero_grad()
    answer_losses(model, *pad(examples, np.array([row]), 0), CPU)[0].sum().backward()
    return {name: gradient_of(layer).clone() for name, layer in trained_layers(model).items()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "neox", "opt"])
def test_norms_in_a_padded_batch_are_those_of_autograd(kind: str, dtype: torch.dtype) -> None:
    model, examples = make_model(kind, dtype=dtype), make_examples(9, 3, prompts=True)
    rows = np.arange(9)
    assert len(set(examples.lengths)) > 3
    sketch = GradientSketch(model, 4)
    with sketch.seen(9) as seen:
        answer_losses(model, *pad(examples, rows, 0), CPU)[0].sum().backward()
    for row in rows:
        gradients = alone(model, examples, int(row))
        wanted = float(sum(one.double().square().sum() for one in gradients.values()))
        assert float(seen.squares[row]) == pytest.approx(wanted, rel=1e-5)
        projected = sketch.of(gradients)
        assert torch.allclose(seen.sketches[row], projected, rtol=1e-3, atol=1e-4 * float(projected.norm()))


def test_the_ghost_norm_is_that_of_the_matrix() -> None:
    random = torch.Generator().manual_seed(0)
    for length in (3, 40):  # the products of places, and the matrix itself
        x, d = (torch.randn(5, length, size, generator=random) for size in (12, 9))
        wanted = torch.einsum("bto,bti->boi", d.double(), x.double()).square().sum((1, 2))
        assert torch.allclose(squared_norms(x, d).double(), wanted, rtol=1e-5)


def test_products_of_sketches_estimate_those_of_gradients() -> None:
    model, examples = make_model(), make_examples(12, 5)
    sketch = GradientSketch(model, 64)
    with sketch.seen(12) as seen:
        answer_losses(model, *pad(examples, np.arange(12), 0), CPU)[0].sum().backward()
    each = [torch.cat([one.flatten() for one in alone(model, examples, row).values()]) for row in range(12)]
    whole = torch.stack(each)
    cosines = torch.nn.functional.cosine_similarity(whole[:, None], whole[None], dim=-1)
    found = torch.nn.functional.cosine_similarity(seen.sketches[:, None], seen.sketches[None], dim=-1)
    off = ~torch.eye(12, dtype=torch.bool)
    assert float((found - cosines)[off].abs().max()) < 0.15
    assert float(np.corrcoef(found[off], cosines[off])[0, 1]) > 0.9


def test_the_same_seed_makes_the_same_projection() -> None:
    model = make_model()
    matrices = {name: torch.ones(layer.shape) for name, layer in trained_layers(model).items()}
    one, same, other = (GradientSketch(model, 4, seed).of(matrices) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_watching_changes_no_gradient_and_leaves_no_hook() -> None:
    model, examples = make_model(), make_examples(6, 1)
    batch = pad(examples, np.arange(6), 0)
    answer_losses(model, *batch, CPU)[0].mean().backward()
    wanted = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    sketch = GradientSketch(model, 4)
    with sketch.seen(6) as seen:
        answer_losses(model, *batch, CPU)[0].mean().backward()
    assert all(torch.equal(parameter.grad, wanted[name]) for name, parameter in model.named_parameters())
    before = seen.squares.clone()
    answer_losses(model, *batch, CPU)[0].mean().backward()
    assert torch.equal(seen.squares, before)
    assert (batch[1] != IGNORED).any()


def test_with_lora_only_its_own_matrices_are_looked_at() -> None:
    peft = pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    model = peft.get_peft_model(make_model(), peft.LoraConfig(r=2, target_modules="all-linear"))
    model.double().eval()
    names = trained_layers(model)
    assert len(names) == 28
    assert all("lora_" in name for name in names)
    with torch.no_grad():
        for layer in names.values():
            layer.module.weight.add_(0.1)  # the second matrix is 0 at first, and the first has no gradient
    examples = make_examples(5, 3, prompts=True)
    with GradientSketch(model, 4).seen(5) as seen:
        answer_losses(model, *pad(examples, np.arange(5), 0), CPU)[0].sum().backward()
    for row in range(5):
        wanted = sum(one.double().square().sum() for one in alone(model, examples, row).values())
        assert float(seen.squares[row]) == pytest.approx(float(wanted), rel=1e-5)
