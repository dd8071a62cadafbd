"""What the reference has taught a student about other pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import SUMS

from tasks.records import BadInput
from tasks.train.checkpoint import load_student
from tasks.train.evaluate import evaluate
from tasks.train.reduction import loss_reductions
from tasks.train.train import train_student
from tasks.train.training import Training

TRAINING = Training(epochs=8, learning_rate=3e-3, batch_tokens=512, sequence_tokens=128)
OTHERS = [
    ("Who was at the door?", "A farmer with two baskets."),
    ("Why did they leave early?", "Because of heavy rain."),
    ("Where is the old mill?", "Beyond a bridge, under elms."),
]


@pytest.fixture
def conditional(llama: Path, tmp_path: Path) -> Path:
    """The student after training on sums."""
    train_student(llama, tmp_path / "conditional", SUMS[:12], [], TRAINING)
    return tmp_path / "conditional"


def test_pairs_like_the_reference_become_likelier(llama: Path, conditional: Path) -> None:
    pairs = [*OTHERS, *SUMS[12:16]]  # sums that were not trained on
    reductions, lengths = loss_reductions(pairs, prior=llama, conditional=conditional, training=TRAINING)
    assert reductions[3:].min() > reductions[:3].max()
    assert (reductions[3:] > 0).all()
    assert (lengths > 5).all()


def test_reductions_add_up_to_the_difference_of_the_losses(llama: Path, conditional: Path) -> None:
    before, after = (evaluate(*load_student(student), SUMS).nll for student in (llama, conditional))
    reductions, _ = loss_reductions(SUMS, prior=llama, conditional=conditional, training=TRAINING)
    _, tokenizer = load_student(llama)
    answered = sum(len(tokenizer.encode(f" {answer}", add_special_tokens=False)) + 1 for _, answer in SUMS)
    np.testing.assert_allclose(reductions.sum(), (before - after) * answered, rtol=1e-4)


def test_a_student_that_has_learnt_nothing_reduces_nothing(llama: Path) -> None:
    reductions, _ = loss_reductions(SUMS[:3], prior=llama, conditional=llama, training=TRAINING)
    assert reductions.tolist() == [0.0, 0.0, 0.0]


def test_no_model_is_bad_input(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput):
        loss_reductions(SUMS[:2], prior=llama, conditional=tmp_path / "empty", training=TRAINING)
