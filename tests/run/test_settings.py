from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from tasks.loop.settings import EqualSettings
from tasks.records import BadInput
from tasks.run.command import Parser, add_flags, settings_from
from tasks.run.folder import create, load_settings, open_run
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
        ({"budgget": 0.1}, "--budgget: extra inputs are not permitted (given: 0.1)"),
        ({"strategy": "best"}, "--strategy: input should be 'random'"),
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


@pytest.mark.parametrize("text", ["[1, 2]", "a: b: c", "\x00"])
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


def test_saved_settings_start_the_same_run_again(tmp_path: Path) -> None:
    settings = EqualSettings(**NEEDED, run="one", runs_dir=str(tmp_path), seed=7, exclude=["a*"])
    create("equal", settings)
    saved = read_yaml(tmp_path / "equal/one/settings.yaml")
    assert parse(EqualSettings, saved) == settings


def test_a_used_name_is_refused(tmp_path: Path) -> None:
    settings = EqualSettings(**NEEDED, run="one", runs_dir=str(tmp_path))
    create("equal", settings)
    with pytest.raises(BadInput, match="--run one: this name is used already"):
        create("equal", settings)


def test_a_continued_run_keeps_its_settings(tmp_path: Path) -> None:
    create("equal", EqualSettings(**NEEDED, run="one", runs_dir=str(tmp_path), seed=7))
    settings = load_settings(EqualSettings, "equal", str(tmp_path), "one", {"workers": 1})
    assert (settings.seed, settings.workers, settings.run) == (7, 1, "one")
    with pytest.raises(BadInput, match="leave out --seed"):
        load_settings(EqualSettings, "equal", str(tmp_path), "one", {"seed": 8})


def test_continuing_an_unknown_run_names_those_there(tmp_path: Path) -> None:
    create("equal", EqualSettings(**NEEDED, run="one", runs_dir=str(tmp_path)))
    with pytest.raises(BadInput, match=r"--resume two: no such run.*runs there: one"):
        load_settings(EqualSettings, "equal", str(tmp_path), "two", {})


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    settings = EqualSettings(**NEEDED, run="one", runs_dir=str(tmp_path))
    with open_run("equal", settings):
        again = settings.model_copy(update={"resume": True})
        with pytest.raises(BadInput, match="being worked on by another process"), open_run("equal", again):
            pass


def test_a_half_written_result_is_forgotten_when_a_run_continues(tmp_path: Path) -> None:
    settings = EqualSettings(**NEEDED, run="one", runs_dir=str(tmp_path))
    results = create("equal", settings) / ".results"
    results.mkdir()
    (results / "whole").write_text("{}")
    (results / "torn").write_text('{"met')
    with open_run("equal", settings.model_copy(update={"resume": True})):
        assert [path.name for path in results.iterdir()] == ["whole"]
