"""Questions that people answer in files, round after round."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.patterns import finish, stages
from tasks.crowd.patterns.given import answers_given, rules_given
from tasks.crowd.patterns.people import answers_of, shares_of
from tasks.crowd.patterns.rules import Rule
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.records import BadInput, Stopped
from tasks.storage.tables import read_rows
from tests.csv_files import read_rows_of, write_rows, written

Row = dict[str, str]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., PatternsSettings]:
    """Settings of a run that asks of so many rules."""

    def make(rules: int, **changes: Any) -> PatternsSettings:
        rows = [[f"a{number}", f"b{number}"] for number in range(rules)]
        given = write_rows(tmp_path / "rules.csv", ["antecedent", "consequent"], rows)
        own = {"batch": 4, "open_share": 0.0, "expand": False, "prune": False, **changes}
        return PatternsSettings(rules=str(given), runs_dir=str(tmp_path), run="r", **own)

    return make


def wanted(run: Path, settings: PatternsSettings, number: int) -> list[Row]:
    """What a round asks of a run that was stopped for it."""
    if number == 1:
        stages.read(run, settings, {})
    with pytest.raises(Stopped):
        stages.mine(run, settings, {})
    return read_rows_of(run / f"rounds/{number:03d}/wanted.csv")


def fill(run: Path, number: int, rows: list[Row]) -> None:
    """Somebody answers these rows of a round, and removes the others."""
    for at, row in enumerate(rows):
        row.update(worker=f"w{number}{at}", support="0.1", confidence="0.4")
    write_rows(run / f"rounds/{number:03d}/wanted.csv", list(rows[0]), [list(row.values()) for row in rows])


def test_random_questions_are_others_in_every_round_and_the_same_when_asked_again(tmp_path, settings):
    given, asked = settings(60, choice="random"), []
    for number in (1, 2, 3):
        rows = wanted(tmp_path, given, number)
        (tmp_path / f"rounds/{number:03d}/wanted.csv").unlink()
        assert wanted(tmp_path, given, number) == rows
        asked.append([row["antecedent"] for row in rows])
        fill(tmp_path, number, rows)
    assert len(set(map(tuple, asked))) == 3
    assert len({name for names in asked for name in names}) > 6


@pytest.mark.parametrize("choice", ["error", "random", "fewest"])
def test_what_nobody_can_answer_is_asked_once(tmp_path, settings, choice):
    given = settings(8, choice=choice)
    removed: set[str] = set()
    for number in (1, 2, 3):
        rows = wanted(tmp_path, given, number)
        first = rows[0]["antecedent"]
        kept = [row for row in rows if row["antecedent"] != first]
        assert kept
        assert not removed.intersection(row["antecedent"] for row in rows)
        removed.add(first)
        fill(tmp_path, number, kept)


def test_a_file_without_rows_is_told_and_written_anew_once_it_is_gone(tmp_path, settings):
    given = settings(8)
    rows = wanted(tmp_path, given, 1)
    path = tmp_path / "rounds/001/wanted.csv"
    for _ in range(2):
        write_rows(path, list(rows[0]), [])
        with pytest.raises(
            BadInput, match=r"001/wanted.csv: no question is left .* remove the file .* --resume"
        ):
            stages.mine(tmp_path, given, {})
    path.unlink()
    assert wanted(tmp_path, given, 1) == rows


def test_nobody_is_asked_openly_after_a_round_without_an_answer_to_it(tmp_path, settings):
    given = settings(1, choice="fewest", open_share=0.5)
    rows = wanted(tmp_path, given, 1)
    opened, closed = ([row for row in rows if bool(row["antecedent"]) == is_closed] for is_closed in (0, 1))
    assert len(opened) == len(closed) == 2
    opened[0].update(antecedent="c", consequent="d")
    fill(tmp_path, 1, [opened[0], *closed])  # one of two: others may have more to tell
    rows = wanted(tmp_path, given, 2)
    closed = [row for row in rows if row["antecedent"]]
    assert len(closed) < len(rows)
    fill(tmp_path, 2, closed)
    rows = wanted(tmp_path, given, 3)
    assert {row["antecedent"] for row in rows} == {"a0", "c"}
    fill(tmp_path, 3, [row for row in rows if row["antecedent"] == "c"])
    rows = wanted(tmp_path, given, 4)
    assert {row["antecedent"] for row in rows} == {"c"}
    fill(tmp_path, 4, rows[1:])
    assert stages.mine(tmp_path, given, {})["stopped_because"] == "nobody has more to say"


def test_apostrophes_of_items_stay_but_for_those_that_guard_a_formula(tmp_path):
    items = ("'80s music", "80s music", "=tea", "-5 km")
    head = ["worker", "antecedent", "consequent", "support", "confidence"]
    rows = [[f"w{worker}", item, "dancing", "0.5", "0.9"] for item in items for worker in range(2)]
    given = PatternsSettings(answers=written(tmp_path / "answers.csv", head, rows))
    stages.read(tmp_path, given, {})
    mined = stages.mine(tmp_path, given, {})
    rules = [row["rule"] for row in finish.read_rules(tmp_path, given)]
    assert len(set(rules)) == len(rules) == mined["rules"]
    assert {Rule((item,), ("dancing",)) for item in items} < set(rules)
    again = given.model_copy(
        update={"answers": str(tmp_path / "questions.csv")}
    )  # guarded as a spreadsheet needs it
    assert [one.rule for one, _ in answers_given(again)[0]] == [
        one.rule for one, _ in answers_given(given)[0]
    ]
    assert rules_given(given.model_copy(update={"rules": str(tmp_path / "rules.csv")})) == rules
    told = {"question": "1", "worker": "w", "consequent": "dancing", "support": "1", "confidence": "1"}
    for written_so, item in (("'80s music", "'80s music"), ("'-5 km", "-5 km"), ("-5 km", "-5 km")):
        answers = answers_of([{"rule": None, "gain": 0.0}], [{**told, "antecedent": written_so}], given)
        assert answers[0][0].rule.antecedent == (item,)


def test_a_second_answer_to_the_same_is_rejected_and_told_and_uses_up_a_question(tmp_path, settings):
    given = settings(1, choice="fewest", questions=4, batch=2)
    rows = wanted(tmp_path, given, 1)
    fill(tmp_path, 1, rows)
    rows = wanted(tmp_path, given, 2)
    for row in rows:
        row.update(worker="w10", support="1", confidence="1")  # who has answered in round 1
    write_rows(tmp_path / "rounds/002/wanted.csv", list(rows[0]), [list(row.values()) for row in rows])
    mined = stages.mine(tmp_path, given, {})
    assert (mined["asked"], mined["rejected"], mined["stopped_because"]) == (
        4,
        2,
        "the questions were used up",
    )
    assert [row["n"] for row in finish.read_rules(tmp_path, given)] == ["2"]
    found = read_rows(tmp_path / "rejected.parquet")
    assert {row["reason"] for row in found} == {"answered before"}
    assert [row["id"] for row in found] == [f"rounds/002/answers.csv: answer {number}" for number in (1, 2)]
    assert found[0]["detail"] == "w10 had answered a0 -> b0 before; the first answer counts"


def test_why_answers_given_do_not_count_is_told_before_people_are_asked(tmp_path, settings):
    head = ["worker", "antecedent", "consequent", "support", "confidence", "kind"]
    rows = [["w", "tea", "honey", "60%", "0.9", ""], ["w", "tea", "honey", "0", "0", "closed"]]
    rows += [["w", "tea", "honey", "0.6", "0.9", "open"], ["v", "tea", "honey", "0.6", "0.3", ""]]
    given = settings(1, questions=4, answers=written(tmp_path / "answers.csv", head, rows), max_broken=0.5)
    wanted(tmp_path, given, 1)
    second, contrary = read_rows(tmp_path / "rejected.parquet")
    assert (second["reason"], contrary["reason"]) == ("answered before", "no answer")
    assert "a support of 0.6 is more than the confidence of 0.3" in contrary["detail"]
    replayed = given.model_copy(update={"replay": True, "questions": 9, "open_share": 0})
    stages.read(tmp_path, replayed, {})
    stages.mine(tmp_path, replayed, {})
    assert [row["n"] for row in finish.read_rules(tmp_path, replayed) if "tea" in row["antecedent"]] == ["1"]


@pytest.mark.parametrize(
    ("support", "confidence", "right"),
    [("12.3%", "0.123", True), ("0", "", True), ("1", "100%", True), ("50%", "0.4", False)],
)
def test_all_of_it_cannot_happen_more_often_than_the_consequent_with_the_antecedent(
    support, confidence, right
):
    with nullcontext() if right else pytest.raises(BadInput, match=r"wanted.csv:3: .* correct one of them"):
        shares_of(support, confidence, "wanted.csv:3")


def test_rules_that_read_alike_pass_the_check(tmp_path):
    head = ["worker", "antecedent", "consequent", "support", "confidence"]
    rows = [["w", sides, "soup", "0.5", "0.9"] for sides in ("pepper; salt", "pepper, salt")]
    given = PatternsSettings(answers=written(tmp_path / "answers.csv", head, rows))
    stages.read(tmp_path, given, {})
    mined = stages.mine(tmp_path, given, {})
    assert len({str(row["rule"]) for row in finish.read_rules(tmp_path, given)}) < mined["rules"]
    finish.gate(tmp_path, given, mined)
