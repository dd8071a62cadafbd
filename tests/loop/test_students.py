"""The trainings of a run: on how many tokens, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.corpus.target import Target
from tasks.loop import students
from tasks.loop.pulls import round_folder
from tasks.loop.settings import EqualSettings
from tasks.records import Example
from tasks.run.tables import PAIRS, write_table
from tasks.train import train
from tasks.train.student import make_student
from tasks.train.train import count_tokens
from tasks.train.training import Training

REFERENCE = [(f"What is {a} plus {a}?", f"The sum is {2 * a}.") for a in range(11, 17)]
KEPT = [(f"What is {a} plus 3?", f"The sum is {a + 3}.") for a in range(11, 41)]
LONGEST = 64  # tokens of a pair, at most: a training may stop short by one that no longer fits


def settings(**fields: Any) -> EqualSettings:
    return EqualSettings(corpus=["c"], target="t", **fields)


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


def keep(run: Path, number: int, pairs: Sequence[tuple[str, str]]) -> None:
    """Pairs as a round leaves them."""
    blank = {field.name: 0 if str(field.type)[0] in "ifd" else "" for field in PAIRS}
    rows = [{**blank, "question": question, "answer": answer} for question, answer in pairs]
    write_table(round_folder(run, number) / "pairs.parquet", rows, PAIRS)


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


@pytest.mark.parametrize("own", [{"epochs": 3.0}, {"train_tokens": 400}])
def test_reference_alone_and_with_the_selection_train_on_as_many_tokens(
    run: Path, trained: list[tuple[int, int]], own: dict[str, Any]
) -> None:
    facts = students.with_reference(
        run, settings(**own), rounds=1, student={"student": students.BASE}, tokens=1000
    )
    planned = 1000 + round(own.get("train_tokens") or 3 * count_tokens(run / students.BASE, REFERENCE, 512))
    assert [pairs for pairs, _ in trained] == [len(REFERENCE), len(REFERENCE) + len(KEPT)]
    assert all(planned - LONGEST < tokens <= planned for _, tokens in trained)
    assert facts["nll_reference"] != facts["nll_reference_selection"]


def test_the_student_that_is_asked_has_learnt_the_reference_and_nothing_else(
    run: Path, trained: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings(epochs=30.0, learning_rate=1e-2)
    facts = students.taught(run, own, student={"student": students.BASE})
    tokens = 30 * count_tokens(run / students.BASE, REFERENCE, 512)
    assert trained == [(len(REFERENCE), tokens)]
    assert facts["files"] == [students.TAUGHT]
    monkeypatch.setattr(students, "PAIRS_PER_JOB", 4)
    reductions = students.reductions_by(run, own, facts)
    assert reductions is not None
    pairs = [*REFERENCE, ("Who was at the door?", "A farmer with two baskets.")]
    reduced, lengths = reductions(pairs)
    assert reduced[:-1].min() > reduced[-1]
    assert lengths[:-1].sum() * 30 == tokens
    whole, _ = students.loss_reductions_of(
        pairs,
        prior=run / students.BASE,
        conditional=run / students.TAUGHT,
        training=Training(),
        tiny=True,
    )
    np.testing.assert_allclose(reduced, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("most", "passes"), [(100_000, 3.0), (150, None)])
def test_the_reference_is_learnt_for_no_longer_than_the_selection(
    run: Path, trained: list[tuple[int, int]], most: int, passes: float | None
) -> None:
    students.taught(run, settings(epochs=3.0, train_tokens=most), student={"student": students.BASE})
    planned = most if passes is None else passes * count_tokens(run / students.BASE, REFERENCE, 512)
    assert planned - LONGEST < trained[0][1] <= planned


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ({}, True),
        ({"train": "never"}, False),
        ({"strategy": "ucb", "compare": ["dsir"]}, False),
        ({"strategy": "ucb", "compare": ["linucb"]}, True),
        ({"strategy": "dsir", "keep": 0.3}, True),
    ],
)
def test_who_asks_a_student(
    run: Path, trained: list[tuple[int, int]], own: dict[str, Any], asked: bool
) -> None:
    facts = students.taught(run, settings(epochs=1.0, **own), student={"student": students.BASE})
    assert bool(trained) is asked
    assert (students.reductions_by(run, settings(**own), facts) is not None) is asked


def test_a_compared_strategy_of_a_run_that_trained_on_nothing_trains_on_nothing(
    run: Path, trained: list[tuple[int, int]]
) -> None:
    student = {"student": students.BASE}
    students.train_at_end(run, settings(), rounds=1, student=student, rewarded={}, tokens=0)
    assert trained == [(len(KEPT), 0)]


def test_a_round_trains_as_long_as_passes_over_its_new_pairs_and_on_all(
    run: Path, trained: list[tuple[int, int]]
) -> None:
    keep(run, 0, KEPT[:10])  # the warm-up's: new in the first round
    keep(run, 1, KEPT[10:20])
    keep(run, 2, KEPT[20:25])
    student: dict[str, Any] = {"student": students.BASE}
    for number in (1, 2):
        student = students.train_round(
            run, settings(epochs=2.0), number=number, rounds=2, student=student, rewarded={}
        )
    one = count_tokens(run / students.BASE, KEPT[:25], 512) / 25  # pairs of about one length
    assert [pairs for pairs, _ in trained] == [20, 25]
    assert trained[0][1] == pytest.approx(2 * 20 * one, rel=0.1)
    assert trained[1][1] == pytest.approx(2 * 5 * one, rel=0.1)


def test_rounds_part_the_tokens_and_the_schedule_and_the_student_before_stays(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stretches: list[tuple[int | None, float, float]] = []
    original = train.train_student

    def spy(base: Any, output: Any, pairs: Any, test: Any, training: Training, **named: Any) -> Any:
        stretches.append((training.tokens, training.start, training.end))
        return original(base, output, pairs, test, training, **named)

    monkeypatch.setattr(train, "train_student", spy)
    student: dict[str, Any] = {"student": students.BASE}
    for number in (1, 2, 3):
        own = settings(train_tokens=400)
        student = students.train_round(run, own, number=number, rounds=3, student=student, rewarded={})
    assert stretches == [(133, 0, 1 / 3), (133, 1 / 3, 2 / 3), (134, 2 / 3, 1)]
    # A kill before the third result is stored begins again from the second.
    assert sorted(path.name for path in (run / "students").iterdir()) == ["base", "round-02", "round-03"]


def test_training_at_the_end_is_as_long_as_the_settings_say(
    run: Path, trained: list[tuple[int, int]]
) -> None:
    student = {"student": students.BASE}
    students.train_at_end(run, settings(train_tokens=500), rounds=1, student=student, rewarded={})
    students.train_at_end(run, settings(epochs=2.0), rounds=1, student=student, rewarded={})
    assert 500 - LONGEST < trained[0][1] <= 500
    assert trained[1][1] == 2 * count_tokens(run / students.BASE, KEPT, 512)
