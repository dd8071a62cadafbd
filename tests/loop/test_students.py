"""The trainings of a run: on how many tokens, and on what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.loop import students
from tasks.train import train
from tasks.train.train import count_tokens
from tasks.train.training import Training
from tests.loop.trainings import KEPT, LONGEST, REFERENCE, keep, settings

NOTHING: dict[str, Any] = {"amounts": []}  # was tried in a round


def test_without_a_student_no_worker_is_asked_and_no_model_is_loaded(tmp_path: Path) -> None:
    """A worker would import what it takes to do nothing."""
    code = f"""
import sys
from pathlib import Path
from tasks.loop import asking, students
from tasks.loop.settings import EqualSettings

def refuse():
    raise AssertionError("a worker was asked")

students.current_mapper = refuse
run, settings = Path({str(tmp_path)!r}), EqualSettings(corpus=["c"], target="t", train="never")
base = students.base(run, settings, corpus={{}}, target={{}})
assert asking.taught(run, settings, student=base)["student"] is None
assert students.judge(run, settings, students=[base, base])["scores"] == [dict(nll=None, exact_match=None)] * 2
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
            run, settings(epochs=2.0), number=number, rounds=2, student=student, rewarded=NOTHING
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
        student = students.train_round(run, own, number=number, rounds=3, student=student, rewarded=NOTHING)
    assert stretches == [(133, 0, 1 / 3), (133, 1 / 3, 2 / 3), (134, 2 / 3, 1)]
    # A kill before the third result is stored begins again from the second.
    assert sorted(path.name for path in (run / "students").iterdir()) == ["base", "round-02", "round-03"]


def test_where_it_is_tried_how_many_pairs_to_keep_the_student_is_trained_anew_on_these(
    run: Path, trained: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = []
    original = train.train_student

    def spy(base: Any, *given: Any, **named: Any) -> Any:
        bases.append(base)
        return original(base, *given, **named)

    monkeypatch.setattr(train, "train_student", spy)
    for number, size in ((0, 0), (1, 10), (2, 5), (3, 5), (4, 5)):
        keep(run, number, KEPT[:size])
    own, student = settings(epochs=2.0), {"student": students.BASE, "nll": 9.0, "exact_match": 0.0}
    nll = []
    for number, tried in ((1, 1), (2, 2), (3, 2), (4, 4)):
        student = students.train_round(
            run, own, number=number, rounds=4, student=student, rewarded={"amounts": [{"round": tried}]}
        )
        nll.append(student["nll"])
    assert bases == [str(run / students.BASE)] * 3
    assert [pairs for pairs, _ in trained] == [10, 15, 25]
    assert nll[1] == nll[2] < 9
    assert (
        student["tokens"]
        == trained[-1][1]
        == 2 * count_tokens(run / students.BASE, [*KEPT[:10], *KEPT[:5] * 3], 512)
    )
    # A kill before the fourth result is stored goes on from the student of the second round.
    assert sorted(path.name for path in (run / "students").iterdir()) == ["base", "round-02", "round-04"]


def test_training_at_the_end_is_as_long_as_the_settings_say(
    run: Path, trained: list[tuple[int, int]]
) -> None:
    student = {"student": students.BASE}
    students.train_at_end(run, settings(train_tokens=500), rounds=1, student=student, rewarded={})
    students.train_at_end(run, settings(epochs=2.0), rounds=1, student=student, rewarded={})
    assert 500 - LONGEST < trained[0][1] <= 500
    assert trained[1][1] == 2 * count_tokens(run / students.BASE, KEPT, 512)
