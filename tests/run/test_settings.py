from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from tasks.loop.settings import EqualSettings
from tasks.records import BadInput
from tasks.run.command import Parser, add_flags, settings_from
from tasks.run.settings import parse, read_yaml

NEEDED = {"corpus": ["a.jsonl"], "target": "t.jsonl"}


def flags(*argv: str) -> dict[str, object]:
    parser = Parser()
    add_flags(parser, EqualSettings, leave_out={"resume"})
    return vars(parser.parse_args(argv))


def test_every_field_but_resume_is_a_flag() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, EqualSettings, leave_out={"resume"})
    flagged = {action.dest for action in parser._actions} - {"help"}
    assert flagged == set(EqualSettings.model_fields) - {"resume"}


def test_every_field_has_a_description() -> None:
    assert [name for name, field in EqualSettings.model_fields.items() if not field.description] == []


def test_a_source_with_commas_stays_one_source() -> None:
    given = flags("--corpus", "python:sympy,scipy", "b.jsonl", "--target", "t")
    assert given["corpus"] == ["python:sympy,scipy", "b.jsonl"]


def test_a_flag_of_many_values_that_is_given_twice_means_all_of_them() -> None:
    given = flags("--corpus", "a.jsonl", "b.jsonl", "--target", "t", "--corpus", "c.jsonl", "--compare")
    assert (given["corpus"], given["compare"]) == (["a.jsonl", "b.jsonl", "c.jsonl"], [])


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({**NEEDED, "budget": 0.2, "min-characters": 7}))
    settings = settings_from(EqualSettings, flags("--budget", "0.3"), str(config))
    assert (settings.budget, settings.min_characters, settings.rounds) == (0.3, 7, 12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"budget": 0}, "--budget: input should be greater than 0 (given: 0)"),
        ({"budget": 1.5}, "--budget: input should be less than or equal to 1 (given: 1.5)"),
        ({"budgget": 0.1}, "unknown setting budgget; did you mean budget?"),
        ({"budget": "nan"}, "--budget: not a number (given: 'nan')"),
        ({"price": float("inf")}, "--price: input should be a finite number (given: inf)"),
        ({"strategy": "best"}, "--strategy: input should be 'random'"),
        ({"student_width": 33}, "--student-width: input should be a multiple of 32 (given: 33)"),
        ({"run": "../x"}, "--run: use letters, digits, dots, dashes and underscores"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_flag(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(EqualSettings, {**NEEDED, **values})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BadInput, match="--corpus: field required; --target: field required"):
        parse(EqualSettings, {})


def test_an_unknown_setting_in_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({**NEEDED, "budgett": 0.2}))
    with pytest.raises(BadInput, match=r"^unknown setting budgett in .*/c\.yaml; did you mean budget\?$"):
        settings_from(EqualSettings, {}, str(config))


@pytest.mark.parametrize("text", ["[1, 2]", "a: b: c", "\x00", "run: 2026-13-45", "[" * 5000])
def test_a_file_that_is_no_mapping_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"--config .*c\.yaml"):
        read_yaml(path)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_a_strategy_is_not_compared_with_itself() -> None:
    settings = EqualSettings(**NEEDED, strategy="random", compare=["random", "dsir"])
    assert settings.compare == ["dsir"]


def test_a_strategy_named_twice_is_compared_once() -> None:
    settings = EqualSettings(**NEEDED, compare=["random", "dsir", "random"])
    assert settings.compare == ["random", "dsir"]
