"""Influence as the reward of EQUAL's arms: by the student of the round, of the round's pairs, in tokens of the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.corpus.target import Target
from tasks.loop import influence, students
from tasks.loop.pulls import round_folder
from tasks.select.influence.scores import influence_scores
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import PAIRS, write_table
from tasks.train.checkpoint import load_student
from tasks.train.format import encode_pairs
from tasks.train.train import train_student
from tasks.train.training import Training
from tests.loop.trainings import KEPT, REFERENCE, settings

OTHER = [
    (f"Where is the town of {name}?", f"{name} lies by the sea.") for name in ("Aru", "Bela", "Cori", "Dun")
]
BASE = {"student": students.BASE, "digest": ""}


def extracted(run: Path, number: int, pairs: list[tuple[str, str]]) -> None:
    blank = {field.name: 0 if str(field.type)[0] in "ifd" else "" for field in PAIRS}
    rows = [{**blank, "question": question, "answer": answer} for question, answer in pairs]
    write_table(round_folder(run, number) / "extracted.parquet", rows, PAIRS)


def asked(run: Path, number: int, judge: dict[str, Any] = BASE, **fields: Any) -> np.ndarray:
    own = settings(reward="influence", **fields)
    facts = influence.pair_influence(run, own, at=run, number=number, student=judge)
    assert facts["files"] == [f"rounds/{number:02d}/influence.npy"]
    return np.asarray(load_array(round_folder(run, number) / "influence.npy"))


def test_it_is_the_score_of_the_library_in_tokens_of_the_reference(run: Path) -> None:
    pairs = KEPT[:6] + OTHER
    extracted(run, 0, pairs)
    found = asked(run, 0)
    model, tokenizer = load_student(run / students.BASE)
    reference = [(one.question, one.answer) for one in Target.load(run / "target").reference]
    steering, candidates = (encode_pairs(tokenizer, some, 512) for some in (reference, pairs))
    wanted = influence_scores(model, steering, candidates)
    # The reference is worth as many tokens as it has.
    own = influence_scores(model, steering, steering, fitted_on=candidates)
    worth = steering.loss_lengths.sum() / own.sum()
    assert found[:, 0] == pytest.approx(wanted * worth, rel=1e-3)
    assert found[:, 1].tolist() == candidates.loss_lengths.tolist()


def test_the_student_of_the_round_judges_and_only_the_rounds_pairs(run: Path) -> None:
    extracted(run, 0, KEPT[:8])
    extracted(run, 1, OTHER)
    training = Training(epochs=3, learning_rate=3e-3, batch_tokens=256, sequence_tokens=64, seed=0)
    train_student(run / students.BASE, run / "students/round-01", KEPT, [], training)
    before, after = asked(run, 1), asked(run, 1, {"student": "students/round-01", "digest": "1"})
    assert len(before) == len(OTHER)
    assert before[:, 0] != pytest.approx(after[:, 0], rel=1e-2)
    assert before[:, 1].tolist() == after[:, 1].tolist()


def test_a_round_without_pairs_asks_nobody(run: Path) -> None:
    extracted(run, 0, [])
    assert asked(run, 0, {"student": "none such", "digest": ""}).shape == (0, 2)


def test_pairs_that_do_harm_gain_nothing(run: Path) -> None:
    for number, rows in enumerate([[[2.0, 5], [-3.0, 4]], [[0.5, 9]]]):
        save_array(round_folder(run, number) / "influence.npy", np.array(rows))
    assert influence.gains(run, 1).tolist() == [2.0, 0.0, 0.5]


def test_pairs_of_the_targets_kind_are_worth_more_than_others(run: Path) -> None:
    training = Training(epochs=20, learning_rate=3e-3, batch_tokens=256, sequence_tokens=64, seed=0)
    train_student(run / students.BASE, run / "students/knows", KEPT[::4] + OTHER[:1], [], training)
    extracted(run, 0, REFERENCE[:2] + KEPT[1:9] + OTHER)
    found = asked(run, 0, {"student": "students/knows", "digest": "k"})
    per_token = found[:, 0] / found[:, 1]
    assert per_token[:10].mean() > per_token[10:].mean()


def test_adapters_count_as_the_layers_that_they_adapt(run: Path) -> None:
    """Students of other kinds than the tiny one, here a folder's, are asked here; new adapters change nothing."""
    extracted(run, 0, KEPT[:8])
    own = str(run / students.BASE)
    plain = asked(run, 0, {"student": own, "digest": ""}, student=own)
    adapted = asked(run, 0, {"student": own, "digest": ""}, student=own, lora=True)
    assert adapted == pytest.approx(plain, rel=1e-3)
