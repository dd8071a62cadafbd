"""Influence and the gradients of examples on a GPU: bf16 beside the CPU's float32.

SLUICE_TEST_GPU=1 .venv/bin/pytest tests/select/influence/test_influence_gpu.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from causal_models import make_examples, make_model

from tasks.select.influence.examples import GradientSketch
from tasks.select.influence.factors import Factors, fit_factors
from tasks.select.influence.scores import Curvature, Direction, influence_scores, stream_scores
from tasks.train.finetune import answer_losses
from tasks.train.format import pad

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU, or SLUICE_TEST_GPU is not set")

CPU, GPU = torch.device("cpu"), torch.device("cuda")
CURVATURE = Curvature("all", damping=1e-2)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "neox"])
def test_scores_are_those_of_the_cpu(kind: str) -> None:
    reference, candidates = make_examples(6, 1, prompts=True), make_examples(60, 2)
    here, there = (
        influence_scores(make_model(kind).to(device), reference, candidates, curvature=CURVATURE)
        for device in (CPU, GPU)
    )
    assert float(np.corrcoef(here, there)[0, 1]) > 0.99  # eight bits of every activation
    assert np.abs(here - there).max() < 0.15 * np.abs(here).max()


def test_neither_batches_nor_padding_change_a_score_much() -> None:
    model, reference, candidates = make_model().to(GPU), make_examples(6, 1), make_examples(40, 2)
    factors = fit_factors(model, candidates, "all")
    one, all_at_once = (
        influence_scores(
            model, reference, candidates, curvature=CURVATURE, factors=factors, batch_tokens=tokens
        )
        for tokens in (16, 4096)
    )
    assert float(np.corrcoef(one, all_at_once)[0, 1]) > 0.999


def test_factors_and_directions_go_to_a_file_and_back(tmp_path: Path) -> None:
    model, candidates = make_model().to(GPU), make_examples(40, 2)
    fit_factors(model, candidates, "all").save(tmp_path / "factors.safetensors")
    found = Factors.load(tmp_path / "factors.safetensors")
    matrices = {name: torch.ones(shape, device=GPU) for name, shape in found.shapes.items()}
    Direction(matrices).save(tmp_path / "direction.safetensors")
    direction = Direction.load(tmp_path / "direction.safetensors", GPU)
    scores = stream_scores(model, direction, candidates)
    assert np.array_equal(scores, stream_scores(model, Direction(matrices), candidates))
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() > 0


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_norms_and_sketches_of_examples_are_those_of_the_cpu(kind: str) -> None:
    batch = pad(make_examples(9, 3, prompts=True), np.arange(9), 0)
    found = []
    for device in (CPU, GPU):
        model = make_model(kind).to(device)
        sketch = GradientSketch(model, 8)
        with sketch.seen(9) as seen:
            answer_losses(model, *batch, device)[0].sum().backward()
        found.append((seen.squares.cpu(), seen.sketches.cpu()))
    (squares, sketches), (own_squares, own_sketches) = found
    assert torch.allclose(squares, own_squares, rtol=0.1)
    assert float(torch.nn.functional.cosine_similarity(sketches, own_sketches).min()) > 0.99
