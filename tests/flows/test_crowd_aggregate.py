"""`sluice crowd aggregate`: answers that differ in, one label for each task and who is reliable out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.crowd.aggregate import judge, stages
from tasks.crowd.aggregate.check import check_inputs
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.records import BadInput
from tasks.run import terminal
from tasks.run.folder import digest
from tasks.storage.tables import read_rows
from tests.csv_files import read_rows_of, write_rows

CAT = "<b>cat</b>"


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Five workers say of 40 tasks whether they are cats; two guess, and one row is not whole."""
    random = np.random.default_rng(3)
    rows = []
    for task in range(40):
        truth = CAT if task % 3 == 0 else "dog"
        for worker in range(5):
            right = random.random() < (0.95 if worker < 3 else 0.5)
            rows.append([f"t{task}", f"w{worker}", truth if right else ("dog" if truth == CAT else CAT)])
    rows += [["t0", "w0", "dog"], ["t1", "", "dog"]]
    return write_rows(tmp_path / "answers.csv", ["task", "worker", "label"], rows)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    rows = [[f"t{task}", CAT if task % 3 == 0 else "dog"] for task in range(40)]
    return write_rows(tmp_path / "truth.csv", ["task", "truth"], [*rows, ["t99", "dog"]])


@pytest.fixture
def make(answers: Path, tmp_path: Path) -> Callable[..., AggregateSettings]:
    def settings(run: str, **changes: Any) -> AggregateSettings:
        given = {"answers": str(answers), "runs_dir": str(tmp_path / "runs"), "run": run, **changes}
        return AggregateSettings(**given)

    return settings


@pytest.mark.server
def test_labels_are_inferred_judged_and_shown(prefect_server, make, truth, tmp_path):
    from flows.crowd.aggregate import aggregate, shown

    out = tmp_path / "out"
    out.mkdir()
    summary = aggregate(make("r", truth=str(truth), positive=CAT, output=str(out / "labels.csv")))
    assert summary["judged"]["accuracy"] >= 0.95
    assert summary["judged"]["judged"] == 40
    assert summary["judged"]["without_answers"] == 1
    assert (summary["repeated"], summary["rejected"]) == (1, 1)
    run = tmp_path / "runs/crowd-aggregate/r"
    labels = read_rows_of(out / "labels.csv")
    assert [row["task"] for row in labels] == [f"t{task}" for task in range(40)]
    assert list(labels[0]) == ["task", "label", "confidence"]
    workers = {row["worker"]: row for row in read_rows_of(out / "workers.csv")}
    assert min(float(workers[f"w{one}"]["quality"]) for one in (0, 1, 2)) > 0.85
    assert max(float(workers[f"w{one}"]["quality"]) for one in (3, 4)) < 0.75
    assert [row["reason"] for row in read_rows(run / "rejected.parquet")] == ["no worker"]
    page = (run / "report.html").read_text()
    assert CAT not in page
    assert "&lt;b&gt;cat" in page
    assert shown(summary)[1][0] == "40"
    assert json.loads((run / "summary.json").read_text())["judged"]["others"]["mv"]["accuracy"] > 0.7


@pytest.mark.server
def test_the_same_again_after_a_stop_and_with_golden_tasks_those_who_fail_them_are_left_out(
    prefect_server, make, truth, tmp_path, monkeypatch
):
    from flows.crowd import aggregate as module
    from tasks.storage.tables import read_json

    golden = write_rows(
        tmp_path / "golden.csv", ["task", "label"], [[f"t{task}", CAT] for task in range(0, 40, 3)]
    )
    changes = {"golden": str(golden), "truth": str(truth), "least_accuracy": 0.85, "method": "mace"}
    whole = module.aggregate(make("whole", **changes))
    assert whole["golden"] == 14
    assert whole["judged"]["judged"] == 26  # what was given is not counted as found
    workers = {
        row["worker"]: row for row in read_rows_of(tmp_path / "runs/crowd-aggregate/whole/workers.csv")
    }
    assert workers["w3"]["of"] == "14"
    assert {name for name, row in workers.items() if row["left_out"] == "1"} <= {"w3", "w4"}
    assert whole["left_out"] >= 1

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.report, "write_report", stopped)
        with pytest.raises(KeyboardInterrupt):
            module.aggregate(make("again", **changes))
    module.aggregate(make("again", **changes, resume=True))
    runs = tmp_path / "runs/crowd-aggregate"
    for name in ("labels.csv", "workers.csv", "pairs.csv", "confusion.parquet"):
        assert digest(runs / "whole" / name) == digest(runs / "again" / name)
    assert read_json(runs / "again/summary.json")["left_out"] == whole["left_out"]


@pytest.mark.server
def test_numbers(prefect_server, make, tmp_path):
    from flows.crowd.aggregate import aggregate

    rows = [
        [f"t{task}", worker, task + error]
        for task in range(6)
        for worker, error in (("v", 0), ("w", 2), ("x", -0.1))
    ]
    data = write_rows(tmp_path / "numbers.csv", ["task", "worker", "label"], rows)
    judge = write_rows(tmp_path / "true.csv", ["task", "truth"], [[f"t{task}", task] for task in range(6)])
    summary = aggregate(make("n", answers=str(data), truth=str(judge), method="catd", numbers=True))
    assert summary["judged"]["mae"] < 0.3
    labels = read_rows_of(tmp_path / "runs/crowd-aggregate/n/labels.csv")
    assert list(labels[0]) == ["task", "label", "confidence", "standard_error"]
    assert all(0 <= float(row["confidence"]) <= 1 for row in labels)
    pairs = read_rows_of(tmp_path / "runs/crowd-aggregate/n/pairs.csv")
    assert [(row["worker"], row["other"], float(row["bias"])) for row in pairs] == [
        ("v", "w", -2),
        ("v", "x", 0.1),
        ("w", "x", 2.1),
    ]
    assert "mean absolute error is <b>" in (tmp_path / "runs/crowd-aggregate/n/report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--answers", "none.csv"], f"--answers {Path('none.csv').absolute()}: no such file"),
        (["--worker", "who"], "--worker who: "),
        (["--worker", "task"], "name three different columns"),
        (["--truth", "none.csv"], f"--truth {Path('none.csv').absolute()}: no such file"),
        (["--method", "median", "--least-accuracy", "0.5"], "numbers are not right or wrong"),
        (["--method", "ds", "--numbers"], "not with --method ds"),
        (["--output", "nowhere/labels.csv"], "no such folder"),
        (["--confidence", "2"], "--confidence"),
        (["--positive", "dog"], "--positive: it is F1 of labels that needs it, with --truth"),
    ],
)
def test_what_cannot_work_is_one_line(answers, tmp_path, capfd, flags, said):
    given = {"--answers": str(answers)}
    words = [word for name, value in given.items() if name not in flags for word in (name, value)]
    assert main(["crowd", "aggregate", "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_answers_all_alike_are_told_before_anything_starts(tmp_path, capfd):
    alike = write_rows(
        tmp_path / "alike.csv", ["task", "worker", "label"], [["a", "v", "x"], ["b", "w", "x"]]
    )
    assert main(["crowd", "aggregate", "--runs-dir", str(tmp_path / "runs"), "--answers", str(alike)]) == 2
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"sluice: --answers {alike}: all answers are x; nothing to infer\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.server
def test_answers_that_cannot_be_used_leave_no_run(prefect_server, make, tmp_path):
    from flows.crowd.aggregate import aggregate

    head = ["task", "worker", "label"]
    alike = write_rows(tmp_path / "alike.csv", head, [["a", "v", "x"], ["b", "w", "x"]])
    words = write_rows(tmp_path / "words.csv", head, [["a", "v", "x"], ["b", "w", "3"]])
    known = write_rows(tmp_path / "known.csv", ["task", "label"], [["t0", "dog"], ["t1", ""]])
    two = write_rows(tmp_path / "two.csv", ["task", "label"], [["t0", "dog"], ["t0", "cat"]])
    for name, changes, said in (
        ("alike", {"answers": str(alike)}, "all answers are x"),
        (
            "words",
            {"answers": str(words), "method": "mean"},
            r"--answers: 1 of 2 records cannot be used, first .*words\.csv:2 \(not a number, x\)",
        ),
        (
            "known",
            {"golden": str(known)},
            r"--golden: 1 of 2 records cannot be used, first .*known\.csv:3 \(no label",
        ),
        ("wrong", {"truth": str(known)}, r"--truth: 1 of 2 records"),
        ("two", {"golden": str(two)}, r"--golden .*two\.csv:3: task t0 has two labels"),
    ):
        with pytest.raises(BadInput, match=said):
            aggregate(make(name, **changes))
        assert not (tmp_path / "runs/crowd-aggregate" / name).exists()


def test_output_does_not_overwrite_what_is_read(answers, tmp_path, capfd):
    before = answers.read_bytes()
    words = ["--runs-dir", str(tmp_path / "runs"), "--answers", str(answers), "--output", str(answers)]
    assert main(["crowd", "aggregate", *words]) == 2
    assert "is read, and would be overwritten; choose another" in capfd.readouterr().err
    assert answers.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text"), [("labels.csv", "my,notes\n"), ("workers.csv", "worker,answers\n")]
)
def test_output_does_not_overwrite_a_file_of_somebody_else(answers, tmp_path, capfd, name, text):
    other = tmp_path / name
    other.write_text(text)
    words = ["--runs-dir", str(tmp_path / "runs"), "--answers", str(answers)]
    assert main(["crowd", "aggregate", *words, "--output", str(tmp_path / "labels.csv")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert f"{other} would be overwritten, and is not of crowd aggregate" in err
    assert other.read_text() == text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("changes", [{}, {"method": "mean"}])
def test_output_may_stand_there_from_an_earlier_run(make, tmp_path, changes):
    rows = [[task, worker, "12"[worker == "w"]] for task in "abc" for worker in "vw"]
    data = write_rows(tmp_path / "given.csv", ["task", "worker", "label"], rows)
    settings = make("r", answers=str(data), output=str(tmp_path / "labels.csv"), **changes)
    run = tmp_path / "run"
    run.mkdir()
    stages.infer(run, settings, stages.read(run, settings, {}))
    for _ in (1, 2):
        judge.publish(run, settings)
        check_inputs(settings)
        assert len(read_rows_of(tmp_path / "labels.csv")) == 3


@pytest.mark.parametrize(("encoding", "name"), [("latin-1", "Zoë"), ("utf-8", "")])
def test_an_input_of_which_much_cannot_be_used_is_refused(make, tmp_path, monkeypatch, encoding, name):
    rows = [[f"t{row}", name if row % 4 else "v", "ab"[row % 3 == 0]] for row in range(40)]
    lines = [",".join(row) for row in (["task", "worker", "label"], *rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding=encoding)
    settings = make("r", answers=str(tmp_path / "a.csv"))
    refused = pytest.raises(
        BadInput, match=r"--answers: 30 of 40 records cannot be used, first .*a\.csv:3 \("
    )
    with refused:
        check_inputs(settings)
    monkeypatch.setattr("tasks.corpus.formats._SMALL", 10)  # bytes; a large file is not read beforehand
    check_inputs(settings)
    with refused:
        stages.read(tmp_path, settings, {})
    assert stages.read(tmp_path, make("r", answers=settings.answers, max_broken=0.8), {})["rejected"] == 30


@pytest.mark.server
def test_the_terminal_says_how_many_rows_are_rejected_and_where_they_are(prefect_server, make, tmp_path):
    from flows.crowd.aggregate import aggregate

    stream = io.StringIO()
    with terminal.shown_on(terminal.Plain(stream)):
        aggregate(make("r"))
    rejected = tmp_path / "runs/crowd-aggregate/r/rejected.parquet"
    assert f"1 row rejected (1 no worker): see {rejected}\n" in stream.getvalue()


def test_a_label_that_is_nan_is_none(make, tmp_path):
    import pandas as pd

    path = tmp_path / "a.parquet"
    pd.DataFrame({"task": [1, 2, 3], "worker": 7, "label": [0.0, 1.0, float("nan")]}).to_parquet(path)
    data = stages.read(tmp_path, make("r", answers=str(path), max_broken=0.5), {})
    assert (data["labels"], data["rejected"]) == (["0", "1"], 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"positive": "zebra", "truth": [["t0", "dog"]]},
            "--positive zebra: not one of the labels: <b>cat</b>, dog",
        ),
        (
            {"positive": "dog", "truth": [["t0", "dog"]], "golden": [["t1", "zebra"]]},
            "--positive dog: F1 is of two labels; there are <b>cat</b>, dog, zebra",
        ),
        ({"golden": [["t99", "dog"]]}, "--golden .*: none of its tasks is among the answers"),
        ({"truth": [["t99", "dog"]]}, "--truth .*: none of its tasks is among those to be inferred"),
        ({"truth": [["t1", "dog"]], "golden": [["t1", "dog"]]}, "--truth .*: none of its tasks"),
    ],
)
def test_what_would_have_no_effect_is_found_out_before_the_work(make, tmp_path, changes, said):
    given = {
        name: value
        if isinstance(value, str)
        else str(write_rows(tmp_path / f"{name}.csv", ["task", "label"], value))
        for name, value in changes.items()
    }
    with pytest.raises(BadInput, match=said):
        stages.read(tmp_path, make("r", **given), {})


def test_a_known_label_that_nobody_gave_is_told(make, tmp_path):
    golden = write_rows(tmp_path / "golden.csv", ["task", "label"], [["t0", "Dog"], ["t1", "dog"]])
    stream = io.StringIO()
    with terminal.shown_on(terminal.Plain(stream)):
        stages.read(tmp_path, make("r", golden=str(golden)), {})
    assert stream.getvalue() == "--golden: nobody gave Dog; is the spelling right?\n"


def test_tasks_that_nobody_who_is_left_has_answered_are_told(make, tmp_path):
    rows = [[f"t{task}", worker, "ab"[worker == "bad"]] for task in range(20) for worker in ("v", "w", "bad")]
    data = write_rows(tmp_path / "a.csv", ["task", "worker", "label"], [*rows, ["alone", "bad", "b"]])
    golden = write_rows(tmp_path / "g.csv", ["task", "label"], [[f"t{task}", "a"] for task in range(10)])
    settings = make("r", answers=str(data), golden=str(golden), least_accuracy=0.5)
    stream = io.StringIO()
    run = tmp_path / "run"
    run.mkdir()
    with terminal.shown_on(terminal.Plain(stream)):
        assert stages.infer(run, settings, stages.read(run, settings, {}))["left_out"] == 1
    said = "1 of 21 tasks have no answer of workers who are left; their labels are guesses"
    assert stream.getvalue() == f"--least-accuracy 0.5: {said}\n"
