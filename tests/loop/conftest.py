"""The folder of a run with a tiny student, and the trainings that are made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.corpus.target import Target
from tasks.loop import students
from tasks.records import Example
from tasks.train import train
from tasks.train.student import make_student
from tests.loop.trainings import KEPT, REFERENCE, keep


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with a base student, a target and the pairs of one round."""
    texts = [f"{question} {answer}" for question, answer in REFERENCE] * 3
    make_student(
        tmp_path / students.BASE, texts, vocabulary=320, width=32, layers=1, pretrain_tokens=0, seed=0
    )
    examples = [Example(str(row), *pair) for row, pair in enumerate(REFERENCE)]
    Target(reference=examples, test=examples[:2]).save(tmp_path / "target")
    keep(tmp_path, 1, KEPT)
    return tmp_path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(pairs, tokens) of each training that is made."""
    made = []
    original = train.train_student

    def spy(base: Any, output: Any, pairs: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        log = original(base, output, pairs, *arguments, **named)
        made.append((len(pairs), log["tokens"]))
        return log

    monkeypatch.setattr(train, "train_student", spy)
    return made
