"""`sluice crowd classify` and `sluice crowd learn`: items and answers in, labels and a model out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.crowd.learn import finish, report, stages
from tasks.crowd.learn.settings import ClassifySettings, LearnSettings
from tasks.run.folder import digest
from tasks.storage.tables import read_rows, write_json
from tests.csv_files import write_rows

WORDS = {"cook": "soup boil pan salt oven plate", "sail": "wind mast rope harbour wave anchor"}
QUICK: dict[str, Any] = {"epochs": 8, "width": 16, "folds": 2, "learning_rate": 1e-2, "encoder_dimensions": 8}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """70 texts, of which 50 have three answers each, and the truth of all."""
    folder, random = tmp_path_factory.mktemp("crowd"), np.random.default_rng(1)
    items, answers, truth = [], [], []
    for row in range(70):
        label = ("cook", "sail")[row % 2]
        items.append(
            [f"<i>{row}</i>", " ".join(random.choice(WORDS[label].split(), 6)) + " <script>x</script>"]
        )
        truth.append([f"<i>{row}</i>", label])
        for worker in random.permutation(5)[:3] if row < 50 else ():
            wrong = worker == 0 or random.random() < 0.2  # the first worker is always wrong
            answers.append(
                [f"<i>{row}</i>", f"w{worker}", ("sail" if label == "cook" else "cook") if wrong else label]
            )
    items.append(["<i>0</i>", "soup again"])
    answers.append(["nowhere", "w1", "cook"])
    files = {"items": (["task", "text"], items), "answers": (["task", "worker", "label"], answers)}
    files["truth"] = (["task", "truth"], truth)
    for name, (head, rows) in files.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *rows])
    return {name: str(folder / f"{name}.csv") for name in files}


@pytest.mark.server
def test_a_model_is_learnt_and_predicts_what_nobody_answered(prefect_server, given, tmp_path):
    from flows.crowd.learn import learn, shown
    from tasks.classify.classifier import Classifier

    summary = learn(LearnSettings(**given, text="text", runs_dir=str(tmp_path), run="r", **QUICK))
    run = tmp_path / "crowd-learn/r"
    assert summary["tasks"] == 50
    assert summary["items"] == 70
    assert len(finish.read_csv(run / "labels.csv")) == 50
    assert len(finish.read_csv(run / "predictions.csv")) == 20
    assert summary["accuracy"] >= 0.95
    assert summary["accuracy_of_predictions"] >= 0.9
    assert set(summary["methods"]) == {"joint", "mv", "ds", "ds-hard"}
    assert Classifier.load(run / "model").predict(["mast rope wind", "soup pan boil"]) == ["sail", "cook"]
    assert not list(run.rglob("*.pkl"))
    workers = {row["worker"]: float(row["quality"]) for row in finish.read_csv(run / "workers.csv")}
    assert min(workers, key=lambda name: workers[name]) == "w0"
    rejected = [(row["reason"], row["id"]) for row in read_rows(run / "rejected.parquet")]
    assert rejected == [
        ("task was there before", f"{given['items']}:72"),
        ("no such item", f"{given['answers']}:152"),
    ]
    page = (run / "report.html").read_text()
    assert "<script>x" not in page
    assert "<i>0</i>" not in page
    assert shown(summary)[0][-1] == "of predictions"
    assert (run / "expectations/docs/index.html").exists()


def classified(run: Path, **values: Any) -> dict[str, Any]:
    """The stages of `classify`, without Prefect."""
    settings = ClassifySettings(text="text", run="r", **QUICK, **values)
    run.mkdir()
    (run / "settings.yaml").write_text("text: text\n")
    data = stages.read(run, settings, {})
    learned = stages.learn(run, settings, data)
    compared = stages.baselines(run, settings, data)
    written = finish.tables(run, settings, learned)
    judged = finish.judge(run, settings, learned, compared)
    summary = finish.summarise(settings, data=data, learned=learned, written=written, judged=judged)
    summary["seconds"] = {"all": 1.0}
    write_json(run / "summary.json", summary)
    report.write_report(run, settings, summary)
    return summary


def test_the_truth_judges_and_steers_nothing(given, tmp_path):
    without = {name: path for name, path in given.items() if name != "truth"}
    one, other = classified(tmp_path / "with", **given), classified(tmp_path / "without", **without)
    for name in ("labels.csv", "next.csv", "workers.csv", "confusion.parquet"):
        assert digest(tmp_path / "with" / name) == digest(tmp_path / "without" / name)
    assert one["accuracy"] >= 0.95
    assert one["accuracy_of_predictions"] >= 0.9
    assert other["accuracy"] is None
    assert other["methods"]["mv"]["answered"] is None
    rows = finish.read_csv(tmp_path / "with/labels.csv")
    assert [row["answers"] for row in rows] == ["3"] * 50 + ["0"] * 20
    asked = [float(row["score"]) for row in finish.read_csv(tmp_path / "with/next.csv")]
    assert asked == sorted(asked, reverse=True)
    assert not (tmp_path / "with/model").exists()


def test_a_run_s_confusion_is_the_prior_of_another(given, tmp_path):
    classified(tmp_path / "first", **given, method="ds")
    prior = str(tmp_path / "first/confusion.parquet")
    second = classified(tmp_path / "second", **given, method="ds-pooled", worker_prior=prior)
    assert second["accuracy"] >= 0.9


@pytest.mark.parametrize("operation", ["classify", "learn"])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--items", "none.csv"], f"--items {Path('none.csv').absolute()}: no such file"),
        (["--answers", "none.csv"], f"--answers {Path('none.csv').absolute()}: no such file"),
        (["--task", "name"], "--task name: "),
        (["--worker", "who"], "--worker who: "),
        (["--text", "body"], "--text body: "),
        (["--truth", "none.csv"], f"--truth {Path('none.csv').absolute()}: no such file"),
        (["--worker-prior", "none.csv"], f"--worker-prior {Path('none.csv').absolute()}: no such file"),
        (["--worker-prior", "p.csv", "--method", "mv"], "--worker-prior: --method mv has no use for it"),
        (["--prior-share", "0.5"], "--prior-share: it is of --worker-prior"),
        (["--method", "oracle"], "--method"),
        (["--worker", "label"], "three different columns"),
    ],
)
def test_what_cannot_work_is_one_line(given, tmp_path, capfd, operation, flags, said):
    values = {"--items": given["items"], "--answers": given["answers"], "--text": "text"}
    words = [word for name, value in values.items() if name not in flags for word in (name, value)]
    assert main(["crowd", operation, "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["x,w,a"], "none is of an item"),
        (["1,w,a", "2,w,a"], "all answers are a"),
        (["1,w,a", "2,w,b"], "2 different labels of 2 items"),
    ],
)
def test_answers_that_nothing_can_be_learnt_from(tmp_path, rows, said):
    from tasks.records import BadInput

    items, answers = tmp_path / "items.csv", tmp_path / "answers.csv"
    items.write_text("task,a\n1,2\n2,3\n")
    answers.write_text("\n".join(["task,worker,label", *rows]) + "\n")
    (tmp_path / "run").mkdir()
    settings = ClassifySettings(items=str(items), answers=str(answers))
    with pytest.raises(BadInput, match=said):
        stages.read(tmp_path / "run", settings, {})


@pytest.mark.parametrize("operation", ["classify", "learn"])
def test_answers_all_alike_are_told_before_anything_starts(given, tmp_path, capfd, operation):
    alike = write_rows(
        tmp_path / "alike.csv", ["task", "worker", "label"], [["1", "v", "x"], ["2", "w", "x"]]
    )
    items = write_rows(tmp_path / "few.csv", ["task", "a"], [["1", "2"], ["2", "3"]])
    words = ["--runs-dir", str(tmp_path / "runs"), "--items", str(items), "--answers", str(alike)]
    assert main(["crowd", operation, *words]) == 2
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"sluice: --answers {alike}: all answers are x; nothing to learn\n")
    assert not (tmp_path / "runs").exists()


def test_a_truth_of_other_items_is_found_out_before_the_work(given, tmp_path):
    from tasks.records import BadInput

    other = write_rows(tmp_path / "other.csv", ["task", "truth"], [["nowhere", "cook"]])
    settings = ClassifySettings(**{**given, "truth": str(other)}, text="text")
    with pytest.raises(BadInput, match=r"--truth .*: none of its tasks is among the items"):
        stages.read(tmp_path, settings, {})
