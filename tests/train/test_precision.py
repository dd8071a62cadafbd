"""Models of some size on a processor that multiplies bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import SUMS

from tasks.select.influence.scores import influence_scores
from tasks.train import precision
from tasks.train.checkpoint import load_student
from tasks.train.evaluate import evaluate, pair_losses
from tasks.train.finetune import finetune
from tasks.train.format import encode_pairs
from tasks.train.training import Training

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="a GPU, where all models compute in bfloat16"
)


def computing(monkeypatch: pytest.MonkeyPatch, instructions: bool, small: bool) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: instructions)
    monkeypatch.setattr(precision, "is_small", lambda model: small)


def losses(path: Path) -> np.ndarray:
    return pair_losses(*load_student(path), SUMS).loss


@pytest.mark.parametrize(("instructions", "small"), [(True, True), (False, False), (False, True)])
def test_float32_is_left_alone_by_small_models_and_other_processors(
    llama: Path, monkeypatch: pytest.MonkeyPatch, instructions: bool, small: bool
) -> None:
    computing(monkeypatch, False, True)
    before = losses(llama)
    computing(monkeypatch, instructions, small)
    assert np.array_equal(losses(llama), before)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_losses_in_bfloat16_are_nearly_those_in_float32(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(kind)
    computing(monkeypatch, False, False)
    exact = losses(path)
    computing(monkeypatch, True, False)
    rough = losses(path)
    assert rough == pytest.approx(exact, rel=0.01)
    assert not np.array_equal(rough, exact)


def test_a_model_learns_by_heart_in_bfloat16_and_keeps_its_weights_in_float32(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing(monkeypatch, True, False)
    model, tokenizer = load_student(llama)
    finetune(model, tokenizer, SUMS[:8], Training(epochs=80, learning_rate=5e-3, batch_tokens=1024))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert evaluate(model, tokenizer, SUMS[:8]).exact_match == 1
    computing(monkeypatch, False, False)
    assert evaluate(model, tokenizer, SUMS[:8]).exact_match == 1


def test_influence_in_bfloat16_orders_examples_as_in_float32(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = load_student(llama)
    reference, candidates = (encode_pairs(tokenizer, part, 64) for part in (SUMS[:8], SUMS[8:]))

    def scores() -> Any:
        return influence_scores(model, reference, candidates)

    computing(monkeypatch, False, False)
    exact = scores()
    computing(monkeypatch, True, False)
    rough = scores()
    assert not np.array_equal(rough, exact)
    assert np.corrcoef(rough, exact)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({"neon": True}, False),
    ],
)
def test_instructions_are_read_off_the_processor(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert precision.multiplies_bfloat16() is expected
