"""The command as a person meets it: what is wrong is one line on standard error and exit code 2."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from example_corpus import documents

from flows.__main__ import main
from tasks.loop.settings import EqualSettings
from tasks.run.interrupts import Terminated
from tasks.run.log import LOG, logged
from tasks.storage.tables import read_rows

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sluice(corpus, tmp_path, capfd, monkeypatch) -> Command:
    """Runs `sluice equal` in this process. Returns the exit code, standard output and standard error.

    The flags given replace or extend those of a tiny run.
    """
    monkeypatch.chdir(tmp_path)

    def run(**flags: Any) -> tuple[int, str, str]:
        given = {
            "corpus": corpus[0],
            "target": corpus[1],
            "runs_dir": tmp_path / "runs",
            "run": "r",
            "budget": 0.3,
            "rounds": 2,
            "workers": 1,
            "train": "never",
            **flags,
        }
        words = ["equal"]
        for name, value in given.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        # A list without values: compare with nothing.
        code = main([*words, "--compare"])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def only_line(result: tuple[int, str, str], code: int = 2) -> str:
    """The one line that says what is wrong."""
    assert result[0] == code, result
    lines = result[2].splitlines()
    assert len(lines) == 1, result[2]
    assert lines[0].startswith("sluice: ")
    assert "Traceback" not in result[1] + result[2]
    return lines[0].removeprefix("sluice: ")


def file_of(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- found before anything starts


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"corpus": "nowhere.jsonl"}, r"^--corpus \S*nowhere\.jsonl: no such file"),
        ({"corpus": "empty.jsonl"}, r"^--corpus: no documents left of \S*empty\.jsonl \(empty text: 2\)"),
        ({"corpus": "nothing.jsonl"}, r"^--corpus: no documents left of \S*nothing\.jsonl \(it is empty\)"),
        ({"corpus": "binary.jsonl"}, r"^--corpus: 1 of 1 records cannot be used, first \S*binary\.jsonl:1"),
        ({"corpus": "short.jsonl"}, r"\(too short: 1\)"),
        ({"corpus": "short.jsonl", "exclude": "a"}, r"\(excluded: 1\)"),
        (
            {"target": "one.jsonl"},
            r"^--target \S*one\.jsonl: 0 of 1 examples left .* 2 at least are needed \(1 kept",
        ),
        (
            {"target": "torn.jsonl"},
            r"^--target \S*: no examples in this file: none of 1 records .*torn\.jsonl:1",
        ),
        (
            {"test": "one.jsonl"},
            r"^--test \S*one\.jsonl: 1 example to judge by, 2 at least are needed; give more$",
        ),
        ({"target": "one.jsonl", "test": "one.jsonl"}, r"the same examples as --target"),
        ({"corpus": "empty-folder"}, r"^--corpus \S*empty-folder: no documents"),
        ({"corpus": "python:no_such_package"}, r"no_such_package"),
        ({"id_field": "uid"}, r"^--corpus: no record has the field uid; .*; set --id-field"),
        ({"text_field": "body"}, r"corpus\.jsonl.*body.*text"),
        ({"target": "nowhere.jsonl"}, r"nowhere\.jsonl"),
        ({"target": "no-answers.jsonl"}, r"no-answers\.jsonl.*answer"),
        ({"question_field": "prompt"}, r"target\.jsonl.*prompt.*question"),
        ({"budget": "0"}, r"--budget: .*greater than 0"),
        ({"budget": "1.5"}, r"--budget: .*less than or equal to 1"),
        ({"budget": "nan"}, r"--budget: not a number"),
        ({"train": "end", "student_width": "33"}, r"--student-width: .*multiple of 32"),
        ({"budget": "much"}, r"--budget: .*number"),
        ({"strategy": "best"}, r"--strategy: .*'random'"),
        ({"run": "a/b"}, r"--run: use letters"),
        ({"train": "end", "student": "empty-folder"}, r"--student .*empty-folder.*config\.json"),
        ({"train": "end", "student": "./nowhere"}, r"--student .*nowhere.*no such folder"),
        ({"encoder": "empty-folder"}, r"--encoder .*empty-folder.*config\.json"),
        ({"encoder": "./nowhere"}, r"--encoder .*nowhere.*no such folder"),
        ({"reward": "influence"}, r"--reward influence is by a student: give --train rounds"),
        ({"reward": "influence", "train": "end", "strategy": "thompson"}, r"--strategy thompson knows"),
        ({"align": "full"}, r"--align full.*transformers encoder"),
        ({"config": "nowhere.yaml"}, r"--config nowhere\.yaml: No such file"),
        ({"config": "list.yaml"}, r"--config list\.yaml: expected lines"),
        ({"config": "broken.yaml"}, r"--config broken\.yaml: not YAML"),
        ({"config": "unknown.yaml"}, r"unknown setting budgget in unknown\.yaml"),
        ({"scheduler": "tcp://127.0.0.1:1"}, r"--scheduler tcp://127\.0\.0\.1:1: no Dask scheduler"),
        ({"scheduler": "here"}, r"--scheduler here: no Dask scheduler"),
        ({"runs_dir": "list.yaml"}, r"list\.yaml"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(sluice, tmp_path, flags, said):
    (tmp_path / "empty-folder").mkdir()
    file_of(tmp_path, "no-answers.jsonl", '{"question": "How many?"}\n' * 4)
    file_of(tmp_path, "one.jsonl", '{"question": "How many?", "answer": "4"}\n')
    file_of(tmp_path, "torn.jsonl", '{"question": "How\n')
    file_of(tmp_path, "empty.jsonl", '{"id": "a", "text": ""}\n{"id": "b", "text": "  "}\n')
    file_of(tmp_path, "nothing.jsonl", "")
    file_of(tmp_path, "binary.jsonl", bytes(range(11, 256)) * 4)
    file_of(tmp_path, "short.jsonl", '{"id": "a", "text": "A word."}\n')
    file_of(tmp_path, "list.yaml", "- budget\n")
    file_of(tmp_path, "broken.yaml", "budget: [0.1\n")
    file_of(tmp_path, "unknown.yaml", "budgget: 0.1\n")
    line = only_line(sluice(**flags))
    assert re.search(said, line), line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("config", "flags", "said"),
    [
        ("test: data/none.jsonl\n", {}, "--test HERE/data/none.jsonl: no such file (test in sub/run.yaml)"),
        ("text-field: body\n", {}, "set --text-field (text-field in sub/run.yaml)"),
        ("min_characters: x\n", {}, "(given: 'x') (min_characters in sub/run.yaml)"),
        ("test: here.jsonl\n", {"test": "none.jsonl"}, "--test HERE/none.jsonl: no such file"),
    ],
)
def test_what_a_file_of_settings_gave_is_named_in_it_and_its_paths_are_from_here(
    sluice, tmp_path, config, flags, said
):
    file_of(tmp_path, "sub/run.yaml", config)
    line = only_line(sluice(config="sub/run.yaml", **flags))
    assert line.endswith(said.replace("HERE", str(tmp_path))), line


def test_a_file_name_neither_breaks_the_line_nor_reaches_the_terminal(sluice, tmp_path):
    name = "a\nb\x1b[2J\u202ec.jsonl"
    file_of(tmp_path, name, "")
    line = only_line(sluice(corpus=name, text_field="body"))
    assert "a b [2J c.jsonl" in line
    assert line.isprintable()


def test_more_files_than_settings_can_hold_are_one_line_that_asks_for_their_folder(capfd, corpus, tmp_path):
    files = [str(tmp_path / f"a-document-of-many-{number:05d}.txt") for number in range(10_000)]
    code = main(["equal", "--corpus", *files, "--target", str(corpus[1]), "--runs-dir", str(tmp_path)])
    line = only_line((code, *capfd.readouterr()))
    assert line.endswith("--corpus names 10,000 sources; give the folders they are in")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["equal", "--budgget", "0.1"], "unrecognized arguments: --budgget 0.1 (see sluice equal --help)"),
        (["unequal"], "unequal"),
        ([], "FLOW"),
        (["equal"], "--corpus: field required; --target: field required"),
        (["equal", "--resume", "never-begun"], "--resume never-begun: no such run"),
        (["equal", "--resume", "x", "--runs-dir", "~nobody-has-this-name"], "begins with ~"),
        (["equal", "--resume", "x", "--runs-dir", "x" * 300], "File name too long"),
        (["equal", "--corpus", "a", "--target", "b", "--resume", "x", "--config", "y"], "leave out --config"),
    ],
)
def test_a_wrong_command_is_one_line(capfd, tmp_path, monkeypatch, argv, said):
    monkeypatch.chdir(tmp_path)
    code = main(argv)
    assert said in only_line((code, *capfd.readouterr()))


def test_a_used_name_is_refused_and_the_run_is_left_alone(sluice, tmp_path):
    kept = file_of(tmp_path, "runs/equal/r/settings.yaml", "run: r\n")
    assert "this name is used already" in only_line(sluice())
    assert kept.read_text() == "run: r\n"


def test_a_resumed_run_keeps_its_settings(capfd, tmp_path):
    file_of(tmp_path, "runs/equal/r/settings.yaml", "corpus: [a]\ntarget: b\nbudget: 0.3\nseed: 4\n")
    code = main(["equal", "--resume", "r", "--runs-dir", str(tmp_path / "runs"), "--seed", "5"])
    assert "leave out --seed" in only_line((code, *capfd.readouterr()))


def test_a_path_given_again_is_the_same_however_it_is_written(corpus, capfd, tmp_path, monkeypatch):
    """Relative to where the command is given; of a run started in the UI the saved path may be relative itself."""
    started: list[EqualSettings] = []
    monkeypatch.setattr("flows.__main__._start", lambda command, settings: started.append(settings))
    monkeypatch.chdir(corpus[0].parent)
    for saved in (corpus[0].name, str(corpus[0])):
        settings = f"corpus: ['{saved}']\ntarget: {corpus[1]}\nrun: r\n"
        file_of(tmp_path, "runs/equal/r/settings.yaml", settings)
        again = ["--corpus", f"./{corpus[0].name}", "--target", corpus[1].name]
        code = main(["equal", "--resume", "r", "--runs-dir", str(tmp_path / "runs"), *again])
        assert (code, capfd.readouterr().err) == (0, "")
        assert started.pop().corpus == [saved]
    code = main(["equal", "--resume", "r", "--runs-dir", str(tmp_path / "runs"), "--corpus", "target.jsonl"])
    assert "leave out --corpus" in only_line((code, *capfd.readouterr()))


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (Terminated(), 143, "terminated"),
        (
            httpx.ConnectError("All attempts failed"),
            3,
            "a service went away (ConnectError: All attempts failed)",
        ),
        (ConnectionResetError(104, "reset by peer"), 3, "a service went away (ConnectionResetError: "),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full ("),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_ends_a_run_says_how_to_continue_it_only_if_it_had_begun(
    sluice, tmp_path, monkeypatch, begun, error, code, said
):
    def ends(command: object, settings: EqualSettings) -> None:
        if begun:
            file_of(tmp_path, "runs/equal/r/settings.yaml", "run: r\n")
        raise error

    monkeypatch.setattr("flows.__main__._start", ends)
    line = only_line(sluice(), code)
    assert line.startswith(said)
    assert ("--resume r" in line) == begun
    assert "--resume NAME" not in line


def unreachable_store() -> Exception:
    """As botocore says it, which is not installed here."""
    kind = type("ConnectionError", (Exception,), {"__module__": "botocore.exceptions"})
    return type("EndpointConnectionError", (kind,), {})("Could not connect to the endpoint")


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("no route"), unreachable_store()], ids=lambda error: type(error).__name__
)
def test_a_service_that_is_away_at_the_first_look_is_one_line(sluice, tmp_path, monkeypatch, error):
    def away(*_: Any) -> None:
        raise error

    monkeypatch.setattr("tasks.prepare.check.check_sources", away)
    line = only_line(sluice(), code=3)
    assert line == f"a service went away ({type(error).__name__}: {error}); start it again"


def test_help_imports_nothing_heavy():
    heavy = [
        "prefect",
        "torch",
        "transformers",
        "sklearn",
        "ot",
        "great_expectations",
        "distributed",
        "pandas",
    ]
    code = (
        "import sys\nfrom flows.__main__ import main\n"
        "try:\n    main(['equal', '--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        f"print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "--budget" in done.stdout


# --- found while the corpus is read


@pytest.mark.server
def test_a_few_broken_lines_are_counted_with_their_numbers_and_the_run_goes_on(
    prefect_server, without_dask, sluice, tmp_path
):
    good = [json.dumps(row) for row in documents()]
    lines = [
        *good[:30],
        '{"id": "torn", "text": "The',
        *good[30:],
        json.dumps({"id": "blank", "text": " \n"}),
    ]
    corpus = file_of(tmp_path, "mixed.jsonl", "\n".join(lines) + "\n")
    code, out, err = sluice(corpus=corpus, max_broken=0.05)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "student" not in out  # that was never trained
    log = (tmp_path / "runs/equal/r" / LOG).read_text()
    assert log.count(" read corpus: Finished in state") == 1
    rejected = read_rows(tmp_path / "runs/equal/r/rejected.parquet")
    assert any("mixed.jsonl:31" in row["id"] for row in rejected)
    assert any("blank" in row["id"] or "mixed.jsonl:122" in row["id"] for row in rejected)
    summary = json.loads((tmp_path / "runs/equal/r/summary.json").read_text())
    assert sum(summary["rejected"].values()) == len(rejected)
    assert summary["documents"] == 120


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("broken", {}, r"broken\.jsonl.*unreadable|unreadable.*--max-broken|--max-broken"),
        ("few", {"clusters": 50}, r"--clusters 50: more than the 24 documents"),
    ],
)
def test_what_the_corpus_shows_to_be_wrong_is_one_line(
    prefect_server, without_dask, sluice, tmp_path, name, flags, said
):
    rows = [json.dumps(row) for row in documents(8)]
    contents = {
        "broken": "\n".join([*rows, *["{torn"] * 5]),
        "few": "\n".join(rows),
    }
    path = file_of(tmp_path, f"{name}.jsonl", contents[name])
    line = only_line(sluice(corpus=path, **flags))
    assert re.search(said, line), line
    assert os.listdir(tmp_path / "runs/equal") == []  # the name is free for the corrected command


@pytest.mark.server
def test_a_full_disk_is_one_line_and_the_run_can_be_continued(
    prefect_server, without_dask, sluice, tmp_path, capfd, monkeypatch
):
    replace, free = os.replace, []

    def full(source: Any, target: Any) -> None:
        if Path(target).name == "arms.parquet" and not free:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    line = only_line(sluice())
    assert "the disk is full" in line
    assert "--resume" in line
    run = tmp_path / "runs/equal/r"
    assert "Traceback" in (run / "log.txt").read_text()
    assert not (run / "summary.json").exists()
    assert not list(run.rglob("*.tmp"))

    free.append(True)
    code = main(["equal", "--resume", "r", "--runs-dir", str(tmp_path / "runs")])
    assert (code, capfd.readouterr().err) == (0, "")
    assert json.loads((run / "summary.json").read_text())["extracted_documents"] == 36


def test_a_log_that_cannot_be_written_does_not_hide_the_error(tmp_path, capfd):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    (tmp_path / LOG).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), logged(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert capfd.readouterr().err == ""


@pytest.mark.server
def test_a_failed_gate_stops_with_code_3_and_names_the_rows_until_it_is_mended(
    prefect_server, without_dask, sluice, tmp_path, monkeypatch
):
    import flows.equal
    from tasks.storage.tables import PAIRS, write_table

    work = flows.equal.write_tables.function

    def spoils(run: Path, *arguments: Any, **named: Any) -> dict[str, Any]:
        facts = work(run, *arguments, **named)
        pairs = read_rows(run / "pairs.parquet")
        pairs[1]["end"] = 10**6
        write_table(run / "pairs.parquet", pairs, PAIRS)
        return facts

    monkeypatch.setattr(flows.equal.write_tables, "function", spoils)
    line = only_line(sluice(), code=3)
    assert "pairs.parquet" in line or "pairs" in line
    assert "1 of" in line


@pytest.mark.server
def test_a_fault_is_one_line_that_names_the_log_with_its_traceback(
    prefect_server, without_dask, sluice, tmp_path, monkeypatch
):
    import flows.equal

    def fails(*arguments: Any, **named: Any) -> dict[str, Any]:
        raise OSError("the network went away\nand more")

    monkeypatch.setattr(flows.equal.read_target, "function", fails)
    line = only_line(sluice(), code=1)
    assert line.startswith("OSError: the network went away; the traceback is in ")
    log = Path(line.rpartition(" ")[2])
    assert "Traceback (most recent call last)" in log.read_text()
