"""What judges' answers come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.loop import judging
from tasks.loop.adjudicate import most_disputed
from tasks.loop.judging import _passage, judges_of, merge
from tasks.loop.rating import CRITERIA, Rating, form, rating_from_text
from tasks.loop.settings import EqualSettings


def said(id_: str, judge: str, correct: bool | None) -> dict[str, object]:
    answer = {"answerable": None if correct is None else True, "correct": correct, "useful": correct}
    return {"id": id_, "judge": judge, **answer}


def test_a_judge_that_answers_at_random_counts_for_less() -> None:
    random = np.random.default_rng(0)
    good = random.random(60) < 0.5
    rows = []
    for number, right in enumerate(good.tolist()):
        rows += [
            said(str(number), f"able {one}", right if random.random() < 0.92 else not right)
            for one in range(3)
        ]
        rows += [said(str(number), f"blind {one}", bool(random.random() < 0.9)) for one in range(4)]
    found = merge([str(number) for number in range(60)], rows)
    p_good = np.array([row["p_good"] for row in found])
    assert ((p_good >= 0.5) == good).mean() >= 0.95
    majority = np.array(
        [sum(bool(row["correct"]) for row in rows if row["id"] == str(n)) > 3 for n in range(60)]
    )
    assert (majority == good).mean() < 0.8


def test_pairs_without_an_answer_have_no_probability_and_are_not_disputed() -> None:
    rows = [said("a", "x", True), said("a", "y", False), said("b", "x", None), said("c", "x", True)]
    found = {row["id"]: row for row in merge(["a", "b", "c"], rows)}
    assert found["b"]["p_good"] is None
    assert (found["b"]["judges"], found["b"]["disputed"]) == (0, False)
    assert found["a"]["disputed"]
    assert not found["c"]["disputed"]
    assert found["a"]["p_good"] == pytest.approx(np.prod([found["a"][name] for name in CRITERIA]))
    assert [row["id"] for row in most_disputed([*found.values()], 5)] == ["a"]


def test_nobody_answered_at_all() -> None:
    assert [row["p_good"] for row in merge(["a"], [said("a", "x", None)])] == [None]


def test_models_judge_in_turn_and_one_that_judges_twice_does_not_repeat_itself() -> None:
    given = {"corpus": ["c"], "target": "t", "model": "m", "train": "never"}
    both = judges_of(EqualSettings(**given, judges=2, judge_models=["a", "b"]), [])
    assert [judge.name for judge in both] == ["a 1", "b 1"]
    assert both[0].form.parameters["temperature"] == 0.0
    three = judges_of(EqualSettings(**given, judges=3), [])
    assert len({one.form.request(["x"]).key for one in three}) == 3
    assert {one.form.parameters["temperature"] for one in three} == {0.7}


def test_every_judge_is_the_model_it_is_named_after_at_that_models_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "prices.yaml"
    table.write_text("a: {input: 1.0, output: 0}\nb: {input: 3.0, output: 0}\n")
    given = {"corpus": ["c"], "target": "t", "model": "a", "train": "never", "runs_dir": str(tmp_path)}
    settings = EqualSettings(**given, judges=3, judge_models=["a", "b"], price_table=str(table))
    alone = EqualSettings(**given, judges=1, judge_models=["a"], price_table=str(table))
    # One more judge of the cheaper model, one of the dearer; the prompts of all are alike.
    assert judging.estimate(settings, 100) == pytest.approx((2 + 3) * judging.estimate(alone, 100), rel=1e-3)
    asked: list[tuple[str, int]] = []

    async def ask(run: Path, judges: Any, pairs: Any, texts: Any, rows: Any) -> None:
        for number, one in judges.items():
            asked.append((one.settings.model, number))
            rows[0, number] = {"judge": one.name}

    monkeypatch.setattr(judging, "_ask", ask)
    monkeypatch.setattr(judging, "_texts", lambda *_: ["text"])
    rows = judging._ask_all(tmp_path, settings, judges_of(settings, []), [{"id": "p"}])
    assert asked == [("a", 0), ("a", 2), ("b", 1)]
    assert [row["judge"] for row in rows] == ["a 1", "b 1", "a 2"]


def test_a_rating_is_read_out_of_words_too() -> None:
    assert rating_from_text("Yes, no, and yes.") == Rating(answerable=True, correct=False, useful=True)
    assert rating_from_text("yes, I think") is None


def test_the_task_and_its_examples_come_before_all_texts() -> None:
    asked = form("m", {"max_tokens": 100}, [("How many?", "12")]).request(["Passage: x"])
    system, user = (content for _, content in asked.messages)
    assert "Question: How many?" in system
    assert "Passage: x" in user
    assert "Passage: x" not in system


def test_a_long_document_is_shown_around_the_answer() -> None:
    text = "a" * 5000 + "ANSWER" + "b" * 5000
    passage = _passage(text, 5000, 5006)
    assert "ANSWER" in passage
    assert len(passage) <= 1500
    assert _passage("short", 0, 5) == "short"
