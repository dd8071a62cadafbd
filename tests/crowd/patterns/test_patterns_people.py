"""Questions that people answer in files, round after round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.patterns import finish, stages
from tasks.crowd.patterns.given import answers_given, rules_given
from tasks.crowd.patterns.people import answers_of
from tasks.crowd.patterns.rules import Rule
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.records import Stopped
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


def test_rules_that_read_alike_pass_the_check(tmp_path):
    head = ["worker", "antecedent", "consequent", "support", "confidence"]
    rows = [["w", sides, "soup", "0.5", "0.9"] for sides in ("pepper; salt", "pepper, salt")]
    given = PatternsSettings(answers=written(tmp_path / "answers.csv", head, rows))
    stages.read(tmp_path, given, {})
    mined = stages.mine(tmp_path, given, {})
    assert len({str(row["rule"]) for row in finish.read_rules(tmp_path, given)}) < mined["rules"]
    finish.gate(tmp_path, given, mined)
