"""Students on a GPU: bf16 beside the CPU's float32, full and with LoRA.

SLUICE_TEST_GPU=1 .venv/bin/pytest tests/train/test_gpu.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import SUMS

from tasks.train.checkpoint import load_student
from tasks.train.evaluate import evaluate, pair_losses
from tasks.train.finetune import finetune
from tasks.train.reduction import loss_reductions
from tasks.train.train import train_student
from tasks.train.training import Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU, or SLUICE_TEST_GPU is not set")

LEARN = Training(epochs=80, learning_rate=5e-3, batch_tokens=1024, seed=0)


def on_cpu(path: Path, monkeypatch: pytest.MonkeyPatch, **named: Any) -> tuple[Any, Any]:
    with monkeypatch.context() as context:
        context.setattr(torch.cuda, "is_available", lambda: False)
        return load_student(path, **named)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_losses_in_bf16_are_those_of_the_cpu(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(kind)
    model, tokenizer = load_student(path)
    assert next(model.parameters()).device.type == "cuda"
    # Weights stay float32: a step of AdamW at a rate of 1e-5 is lost in the eight bits of a bf16 weight.
    assert next(model.parameters()).dtype == torch.float32
    there = pair_losses(model, tokenizer, SUMS)
    here = pair_losses(*on_cpu(path, monkeypatch), SUMS)
    assert there.loss == pytest.approx(here.loss, rel=0.01)
    assert np.array_equal(there.answered, here.answered)


def test_a_student_learns_by_heart_and_is_as_good_on_the_cpu(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = train_student(llama, tmp_path / "taught", SUMS[:8], SUMS[:8], LEARN)
    assert scores["exact_match"] == 1
    again = evaluate(*on_cpu(tmp_path / "taught", monkeypatch), SUMS[:8])
    assert again.exact_match == 1
    assert again.nll == pytest.approx(scores["nll"], abs=0.02)


def test_adapters_learn_and_leave_the_model_alone(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    training = Training(epochs=80, learning_rate=1e-2, batch_tokens=1024, lora=True, seed=0)
    model, tokenizer = load_student(llama, lora=True)
    frozen = {
        name: weight.detach().clone() for name, weight in model.named_parameters() if not weight.requires_grad
    }
    before = evaluate(model, tokenizer, SUMS[:8]).nll
    finetune(model, tokenizer, SUMS[:8], training)
    assert evaluate(model, tokenizer, SUMS[:8]).nll < before / 2
    assert all(
        torch.equal(weight, frozen[name]) for name, weight in model.named_parameters() if name in frozen
    )
    scores = train_student(llama, tmp_path / "adapters", SUMS[:8], SUMS[:8], training)
    again = evaluate(*on_cpu(tmp_path / "adapters", monkeypatch, lora=True), SUMS[:8])
    assert again.nll == pytest.approx(scores["nll"], rel=0.05)


def test_the_student_asked_on_a_gpu_prefers_the_same_pairs(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_student(llama, tmp_path / "taught", SUMS[:8], [], LEARN)
    asked = {"prior": llama, "conditional": tmp_path / "taught", "training": LEARN}
    there, _ = loss_reductions(SUMS, **asked)
    with monkeypatch.context() as context:
        context.setattr(torch.cuda, "is_available", lambda: False)
        here, _ = loss_reductions(SUMS, **asked)
    assert set(np.argsort(-there)[:8]) == set(np.argsort(-here)[:8])
