from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.loop.outcome import finish
from tasks.loop.settings import EqualSettings

SETTINGS = EqualSettings(corpus=["a"], target="t")


def saved(run: Path, student: str, weights: str = "w") -> str:
    (run / student).mkdir(parents=True)
    (run / student / "model.safetensors").write_text(weights)
    return student


def test_the_student_is_kept_when_the_last_round_found_nothing_new(tmp_path: Path) -> None:
    nothing = {"amounts": []}
    history = [{"reward": nothing, "train": {"tokens": tokens}} for tokens in (900, 0)]
    tokens = finish.trained_tokens(history, history[-1]["train"], SETTINGS)
    finish.keep_last_student(tmp_path, saved(tmp_path, "students/round-02"), tokens)
    assert (tmp_path / "student/model.safetensors").exists()


def test_tokens_of_a_student_that_is_trained_anew_are_those_of_its_last_training() -> None:
    history = [{"reward": {"amounts": [{"round": 1}]}, "train": {"tokens": tokens}} for tokens in (900, 70)]
    assert finish.trained_tokens(history, history[-1]["train"], SETTINGS) == 70


@pytest.mark.parametrize(("student", "tokens"), [("students/base", 0), ("owner/model", 900), (None, 0)])
def test_a_student_that_was_never_trained_here_is_not_kept(
    tmp_path: Path, student: str | None, tokens: int
) -> None:
    saved(tmp_path, "students/base")
    finish.keep_last_student(tmp_path, student, tokens)
    assert not (tmp_path / "student").exists()


def test_a_copy_that_fails_leaves_the_student_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, "student", "of the first attempt")

    def fails(*arguments: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", fails)
    with pytest.raises(OSError, match="No space left"):
        finish.keep_last_student(tmp_path, saved(tmp_path, "students/round-02"), 900)
    assert [path.read_text() for path in (tmp_path / "student").iterdir()] == ["of the first attempt"]


def test_what_the_reference_does_to_the_loss_of_an_answer_is_said_without_a_double_negative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": str(number), "similarity": 0.5} for number in range(3)]
    monkeypatch.setattr(finish, "kept_mask", lambda *_: np.zeros(3, bool))
    monkeypatch.setattr(finish, "known_reductions", lambda *_: np.array([0.5, -0.55, np.nan]))
    monkeypatch.setattr(finish, "_concatenated", lambda *_: iter(rows))
    details = [row["detail"].partition("; ")[2] for row in finish._left_rows(tmp_path, 1)]
    assert details == [
        "learning the reference lowers the loss of its answer by 0.50 nats",
        "learning the reference raises the loss of its answer by 0.55 nats",
        "",
    ]
