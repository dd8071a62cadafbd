from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tasks.loop.pulls import payer_of
from tasks.loop.settings import EqualSettings
from tasks.records import BadInput, Stopped
from tasks.run import folder
from tasks.run.folder import create, load_settings, open_run
from tasks.run.settings import parse, read_yaml
from tasks.storage.tables import atomic_folder

INPUTS = {"corpus": "a1", "target": "b2"}


def settings_of(tmp_path: Path, **changes: Any) -> EqualSettings:
    given = {"corpus": ["a.jsonl"], "target": "t.jsonl", "run": "one", "runs_dir": str(tmp_path), **changes}
    return EqualSettings(**given)


def resumed(settings: EqualSettings, **changes: Any) -> EqualSettings:
    return settings.model_copy(update={"resume": True, **changes})


def test_saved_settings_start_the_same_run_again(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, seed=7, exclude=["a*"])
    create("equal", settings, INPUTS)
    saved = read_yaml(tmp_path / "equal/one/settings.yaml")
    assert parse(EqualSettings, saved) == settings


def test_a_used_name_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    create("equal", settings, INPUTS)
    with pytest.raises(BadInput, match="--run one: this name is used already"):
        create("equal", settings, INPUTS)


def test_a_name_that_another_process_takes_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, mine = folder.write_json, settings_of(tmp_path, seed=1)

    def taken(path: Path, value: Any) -> None:
        monkeypatch.setattr(folder, "write_json", write)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        create("equal", settings_of(tmp_path, seed=2), INPUTS)
        write(path, value)

    monkeypatch.setattr(folder, "write_json", taken)
    with pytest.raises(BadInput, match="--run one: this name is used already"):
        create("equal", mine, INPUTS)
    assert read_yaml(tmp_path / "equal/one/settings.yaml")["seed"] == 2
    assert os.listdir(tmp_path / "equal") == ["one"]


def test_a_run_killed_while_its_folder_is_made_leaves_its_name_free(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    child = os.fork()
    if not child:
        Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        create("equal", settings, INPUTS)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(os.listdir(tmp_path / "equal")) == 1
    with pytest.raises(BadInput, match=r"--resume one: no such run in \S+$"):
        load_settings(EqualSettings, "equal", str(tmp_path), "one", {})
    with open_run("equal", settings, INPUTS):
        assert os.listdir(tmp_path / "equal") == ["one"]


def test_a_run_that_cannot_be_written_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_text", full)
    with pytest.raises(BadInput, match="cannot make the run's folder: No space left"):
        create("equal", settings_of(tmp_path), INPUTS)
    assert os.listdir(tmp_path / "equal") == []


def test_a_continued_run_keeps_its_settings(tmp_path: Path) -> None:
    create("equal", settings_of(tmp_path, seed=7), INPUTS)
    settings = load_settings(EqualSettings, "equal", str(tmp_path), "one", {"workers": 1})
    assert (settings.seed, settings.workers, settings.run) == (7, 1, "one")
    with pytest.raises(BadInput, match="leave out --seed,"):
        load_settings(EqualSettings, "equal", str(tmp_path), "one", {"seed": "8", "budget": "0.05"})


def test_a_flag_that_repeats_a_saved_value_is_no_change(tmp_path: Path) -> None:
    create("equal", settings_of(tmp_path, budget=0.05), INPUTS)
    given = {"budget": "0.050", "rounds": "12", "compare": ["random"]}
    assert load_settings(EqualSettings, "equal", str(tmp_path), "one", given).budget == 0.05


def test_continuing_an_unknown_run_names_those_there(tmp_path: Path) -> None:
    create("equal", settings_of(tmp_path), INPUTS)
    with pytest.raises(BadInput, match=r"--resume two: no such run.*runs there: one"):
        load_settings(EqualSettings, "equal", str(tmp_path), "two", {})


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with (
        open_run("equal", settings, INPUTS),
        pytest.raises(BadInput, match="being worked on by another process"),
        open_run("equal", resumed(settings), INPUTS),
    ):
        pass


def test_a_folder_that_cannot_be_locked_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    settings = settings_of(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuses)
    with (
        pytest.raises(BadInput, match=r"run one: cannot lock .*: No locks"),
        open_run("equal", settings, INPUTS),
    ):
        pass
    lock = tmp_path / "equal/one/.lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(BadInput, match="Is a directory"), open_run("equal", resumed(settings), INPUTS):
        pass


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({**INPUTS, "target": "b3"}, "target"),
        ({"corpus": "a2", "target": "b3"}, "corpus, target"),
        ({**INPUTS, "encoder": "c1"}, "encoder"),
        ({"corpus": "a1"}, "target"),
    ],
)
def test_a_run_whose_inputs_have_changed_is_not_continued(
    tmp_path: Path, inputs: dict[str, str], named: str
) -> None:
    settings = settings_of(tmp_path)
    create("equal", settings, INPUTS)
    with (
        pytest.raises(BadInput, match=f"inputs changed since run one began: {named};"),
        open_run("equal", resumed(settings), inputs),
    ):
        pass
    with open_run("equal", resumed(settings), INPUTS):
        pass


def test_a_run_is_not_continued_with_other_settings_but_may_move_to_more_workers(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    create("equal", settings, INPUTS)
    with (
        pytest.raises(BadInput, match=r"run one was begun with other settings \(seed, budget\)"),
        open_run("equal", resumed(settings, seed=3, budget=0.5), INPUTS),
    ):
        pass
    with open_run("equal", resumed(settings, workers=8), INPUTS):
        pass


def test_a_new_run_whose_input_proves_bad_leaves_its_name_free_until_something_is_extracted(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(BadInput, match="no good"), open_run("equal", settings, INPUTS) as run:
        (run / "stages").mkdir()
        raise BadInput("no good")
    assert os.listdir(tmp_path / "equal") == []
    with pytest.raises(BadInput, match="no good"), open_run("equal", settings, INPUTS) as run:
        payer = payer_of(run)
        raise BadInput("no good")
    assert payer_of(run) == payer
    assert "stopped: no good" in (run / "log.txt").read_text()


@pytest.mark.parametrize("error", [BadInput("no good"), Stopped("no more"), KeyboardInterrupt()])
def test_no_run_that_was_continued_or_stopped_otherwise_is_removed(
    tmp_path: Path, error: BaseException
) -> None:
    settings = settings_of(tmp_path)
    if isinstance(error, BadInput):
        create("equal", settings, INPUTS)
        settings = resumed(settings)
    with pytest.raises(type(error)), open_run("equal", settings, INPUTS):
        raise error
    assert (tmp_path / "equal/one/settings.yaml").is_file()


def test_a_half_written_result_is_forgotten_when_a_run_continues(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    results = create("equal", settings, INPUTS) / ".results"
    results.mkdir()
    (results / "whole").write_text("{}")
    (results / "torn").write_text('{"met')
    with open_run("equal", resumed(settings), INPUTS):
        assert [path.name for path in results.iterdir()] == ["whole"]


def test_what_a_kill_left_of_writes_is_removed_when_a_run_continues(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    run = create("equal", settings, INPUTS)
    left = ["export/.messages.jsonl.77.tmp", "students/.base.77.tmp/model", "students/.base.77.old/model"]
    kept = ["export/messages.jsonl", "students/base/model", "stages/.tmp", "target/notes.77.tmp"]
    for name in [*left, *kept]:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x")
    another = tmp_path / "equal/.another.77.tmp"
    another.mkdir()
    with open_run("equal", resumed(settings), INPUTS):
        assert [name for name in left if (run / name).parent.exists() and (run / name).exists()] == []
        assert not list(run.glob("students/.base*"))
        assert [name for name in kept if not (run / name).exists()] == []
    assert another.exists()


@pytest.mark.parametrize(("patience", "stays"), [(60.0, False), (-1.0, True)])
def test_a_bad_input_that_shows_late_leaves_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, stays: bool
) -> None:
    monkeypatch.setattr(folder, "_WORTH_KEEPING", patience)
    with (
        pytest.raises(BadInput, match="not finite"),
        open_run("equal", settings_of(tmp_path), INPUTS) as run,
    ):
        (run / "selected.jsonl").write_text("{}\n")
        raise BadInput("the loss was not finite")
    assert (tmp_path / "equal/one/selected.jsonl").exists() == stays


def test_a_folder_that_was_moved_aside_when_the_process_was_killed_is_back(tmp_path: Path) -> None:
    at, replace = tmp_path / "checkpoints/warm-up", os.replace
    with atomic_folder(at) as temporary:
        (temporary / "epoch").write_text("1")
    child = os.fork()
    if not child:
        # The first of the two renames, then the end.
        os.replace = lambda *paths: (replace(*paths), os.kill(os.getpid(), signal.SIGKILL))
        with atomic_folder(at) as temporary:
            (temporary / "epoch").write_text("2")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not at.exists()
    folder.discard_left_over(tmp_path)
    assert (at / "epoch").read_text() == "1"
    assert os.listdir(at.parent) == ["warm-up"]
