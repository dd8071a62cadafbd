from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import tasks.prepare.check
from tasks.loop.check import absolute, check_inputs, input_fingerprints
from tasks.loop.settings import EqualSettings
from tasks.records import BadInput


@pytest.fixture
def settings(tmp_path: Path) -> EqualSettings:
    """Of a run that reads two files of documents, a target, a test part, an encoder and a student."""
    files = ["documents/a.txt", "documents/b.txt", "target.jsonl", "test.jsonl"]
    files += ["encoder/model.safetensors", "student/model.safetensors"]
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name}: a document that is long enough to be one of the corpus.\n")
    for name in ("target", "test"):
        items = ({"question": f"How many are {n} of the {name}?", "answer": str(n)} for n in range(8))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return EqualSettings(
        runs_dir=str(tmp_path / "runs"),
        run="new",
        corpus=[str(tmp_path / "documents")],
        **{
            field: str(tmp_path / name)
            for field, name in {
                "target": "target.jsonl",
                "test": "test.jsonl",
                "encoder": "encoder",
                "student": "student",
            }.items()
        },
    )


def changed(settings: EqualSettings, before: dict[str, str]) -> list[str]:
    now = input_fingerprints(settings)
    return [name for name in now if now[name] != before[name]]


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("documents/b.txt", "corpus"),
        ("documents/new.txt", "corpus"),
        ("target.jsonl", "target"),
        ("test.jsonl", "test"),
        ("encoder/model.safetensors", "encoder"),
        ("student/new.safetensors", "student"),
    ],
)
def test_a_changed_input_is_named(settings: EqualSettings, tmp_path: Path, file: str, named: str) -> None:
    before = input_fingerprints(settings)
    assert changed(settings, before) == []
    (tmp_path / file).write_text("corrected, and longer than before\n")
    assert changed(settings, before) == [named]


@pytest.mark.parametrize(
    ("file", "named"), [("target.jsonl", "target"), ("student/model.safetensors", "student")]
)
def test_a_file_of_the_same_size_with_another_time_is_another(
    settings: EqualSettings, tmp_path: Path, file: str, named: str
) -> None:
    before = input_fingerprints(settings)
    os.utime(tmp_path / file, ns=(1, 1))
    assert changed(settings, before) == [named]


def test_another_version_of_sluice_is_a_change(
    settings: EqualSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = input_fingerprints(settings)
    monkeypatch.setattr(tasks.prepare.check, "versions", lambda: {"sluice": "99"})
    assert changed(settings, before) == ["Sluice's version"]


def test_names_of_what_is_built_in_do_not_mean_folders_that_lie_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lsa", "tiny", "mine", "t.jsonl"):
        (tmp_path / name).mkdir()
    given: dict[str, Any] = {"corpus": ["python:json"], "target": "t.jsonl"}
    plain = absolute(EqualSettings(**given))
    assert (plain.encoder, plain.student, plain.target) == ("lsa", "tiny", str(tmp_path / "t.jsonl"))
    own = absolute(EqualSettings(**given, encoder="mine", student="mine"))
    assert own.encoder == own.student == str(tmp_path / "mine")


def test_built_in_models_and_names_on_a_hub_have_no_files(settings: EqualSettings) -> None:
    named = settings.model_copy(update={"encoder": "lsa", "student": "owner/model"})
    marks = input_fingerprints(named)
    assert marks["encoder"] == marks["student"] == ""


def test_a_long_list_of_modules_is_not_a_path() -> None:
    corpus, target = f"python:{'json,' * 100}json", f"doctest:{'textwrap,' * 100}textwrap"
    own = absolute(EqualSettings(corpus=[corpus], target=target))
    assert (own.corpus, own.target) == ([corpus], target)


@pytest.mark.parametrize("field", ["corpus", "target", "test", "encoder", "student", "runs_dir"])
@pytest.mark.parametrize(
    ("path", "why"),
    [("~nobody-has-this-name/x", "begins with ~"), ("x" * 300, "too long|no such|not a folder")],
)
def test_a_path_that_cannot_be_looked_at_is_refused_in_one_line(
    settings: EqualSettings, field: str, path: str, why: str
) -> None:
    sound = {"encoder": "lsa", "student": "tiny"}
    given = settings.model_copy(update={**sound, field: [path] if field == "corpus" else path})
    with pytest.raises(BadInput, match=why) as refusal:
        check_inputs(absolute(given))
    assert "\n" not in str(refusal.value)


def test_a_closed_folder_is_refused_in_one_line(
    settings: EqualSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, settings = settings.student, settings.model_copy(update={"encoder": "lsa"})

    def stat(path: Path, **options: Any) -> os.stat_result:
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return os.stat(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    for refuses in (absolute, check_inputs):
        with pytest.raises(BadInput, match=f"{closed}: Permission denied; "):
            refuses(settings)


def test_a_name_is_free_for_a_new_run_and_taken_by_the_one_that_is_continued(
    settings: EqualSettings, tmp_path: Path
) -> None:
    changes = {
        "encoder": "lsa",
        "train": "never",
        "test": "",
        "run": "one",
        "runs_dir": str(tmp_path / "runs"),
    }
    given = settings.model_copy(update=changes)
    check_inputs(given)
    (tmp_path / "runs/equal/one").mkdir(parents=True)
    check_inputs(given.model_copy(update={"resume": True}))
    with pytest.raises(BadInput, match="this name is used already"):
        check_inputs(given)
