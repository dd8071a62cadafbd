"""The flow of a campaign: items in, labels with their confidence out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flows.__main__ import main
from tasks.crowd.annotate.files import WANTED
from tests.crowd.annotating import LABELS, recorded, settings_of, truth_of
from tests.csv_files import read_rows_of, write_rows


@pytest.mark.server
def test_a_campaign_leaves_labels_workers_answers_costs_and_a_report(prefect_server, tmp_path):
    from flows.crowd.annotate import annotate, shown

    truth = write_rows(tmp_path / "truth.csv", ["task", "truth"], [[f"i{n}", truth_of(n)] for n in range(30)])
    answers = recorded(tmp_path, 30, 6, wrong=7)
    given = {
        "annotators": "replay",
        "answers": [str(answers)],
        "truth": str(truth),
        "question": "<i>Which?</i>",
    }
    summary = annotate(settings_of(tmp_path, 30, golden=6, rounds=2, answer_price=0.02, **given))
    run = tmp_path / "crowd-annotate/r"
    labels, workers, kept = (
        read_rows_of(run / name) for name in ("labels.csv", "workers.csv", "answers.csv")
    )
    assert [row["task"] for row in labels] == [f"i{n}" for n in range(30)]
    assert [row["stopped_by"] for row in labels[:6]] == ["golden"] * 6
    right = [row["label"] == truth_of(n) for n, row in enumerate(labels)]
    assert summary["accuracy"] == pytest.approx(sum(right[6:]) / 24)  # what steers does not judge
    assert summary["judged"] == 24
    assert all(0.5 <= float(row["confidence"]) <= 1 for row in labels)
    assert len(kept) == summary["answers"] == sum(int(row["answers"]) for row in workers)
    assert sum(row["counts"] == "1" and int(row["task"][1:]) >= 6 for row in kept) == sum(
        int(row["answers"]) for row in labels[6:]
    )
    lines = [json.loads(line) for line in (run / "costs.jsonl").read_text().splitlines()]
    assert (
        sum(line["cost_paid"] for line in lines)
        == pytest.approx(summary["cost"])
        == pytest.approx(0.02 * len(kept))
    )
    assert json.loads((run / "summary.json").read_text())["estimate"]["least"] == 54
    page = (run / "report.html").read_text()
    assert "&lt;i&gt;Which?&lt;/i&gt;" in page
    assert "<i>Which?" not in page
    assert "<b>cat</b>" not in page
    asked = page.split('<section id="asked">')[1].split("</section>")[0]
    by_label = re.findall(r'<td class="text">(?:cat|dog)</td><td>(\d+)</td>', asked)
    by_answers = re.findall(r'title="\d+ answers: (\d+) items"', asked)
    assert sum(map(int, by_label)) == sum(map(int, by_answers)) == summary["items"] == 24
    assert (
        len(set(re.findall(r'class="(?:bars|scale)( few|)', asked))) == 1
    )  # the axis is as wide as what it measures
    assert (run / "expectations/docs/index.html").exists()
    assert shown(summary)[0][-1] == "accuracy"


@pytest.mark.server
def test_answers_in_files_are_waited_for(prefect_server, tmp_path, capfd):
    settings = settings_of(tmp_path, 5)
    flags = ["--items", settings.items, "--labels", *LABELS, "--annotators", "file", "--min-answers", "1"]
    own = ["--runs-dir", str(tmp_path)]
    start = ["crowd", "annotate", *flags, "--max-answers", "1", "--rounds", "1", *own, "--run", "r"]
    assert main([*start, "--dry-run", "--answer-price", "2"]) == 0
    assert "5 to 5 answers: about $10.00 to $10.00" in capfd.readouterr().out
    assert main(["crowd", "annotate", "--resume", "r", *own]) == 3
    assert "5 answers are wanted" in capfd.readouterr().err
    wanted = tmp_path / "crowd-annotate/r" / WANTED
    rows = [{**row, "worker": "ann", "label": truth_of(int(row["task"][1:]))} for row in read_rows_of(wanted)]
    write_rows(wanted, list(rows[0]), [list(row.values()) for row in rows])
    assert main(["crowd", "annotate", "--resume", "r", *own]) == 0
    labels = read_rows_of(tmp_path / "crowd-annotate/r/labels.csv")
    assert [row["answers"] for row in labels] == ["1"] * 5
    assert "$10.00" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--items", "none.csv"], f"--items {Path('none.csv').absolute()}: no such file"),
        (["--id-column", "key"], "--id-column key: "),
        (["--text", "body"], "--text body: "),
        (["--labels", "cat"], "--labels: "),
        (["--labels", "cat", "cat"], "--labels: a label stands there twice"),
        (["--golden", "none.csv"], f"--golden {Path('none.csv').absolute()}: no such file"),
        (["--annotators", "replay"], "--annotators replay needs --answers"),
        (["--annotators", "llm"], "--annotators llm needs --model"),
        (["--answers", "a.csv"], "--answers is of --annotators file and replay"),
        (["--judges", "a"], "--judges is of --annotators llm"),
        (["--max-cost", "1"], "--max-cost needs --answer-price"),
        (["--min-answers", "9"], "--min-answers is more than --max-answers"),
        (["--confidence", "1"], "--confidence: "),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, capfd, flags, said):
    items = settings_of(tmp_path, 3).items
    given = {"--items": [items], "--labels": LABELS}
    words = [word for name, values in given.items() if name not in flags for word in (name, *values)]
    assert main(["crowd", "annotate", "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,text\n", "no rows in it"),
        ("id,text\n1,a\n1,b\n", "items.csv:3: the id 1 stands there twice"),
        ("id,text\n,a\n", "items.csv:2: the id is empty"),
        ("id,text\n1, \n", "items.csv:2: no text in text"),
        ("id,text\n1,a,b\n", "items.csv:2: broken CSV"),
    ],
)
def test_items_that_cannot_be_used_are_one_line(tmp_path, capfd, text, said):
    (tmp_path / "items.csv").write_text(text)
    words = [
        "--items",
        str(tmp_path / "items.csv"),
        "--labels",
        *LABELS,
        "--runs-dir",
        str(tmp_path / "runs"),
    ]
    assert main(["crowd", "annotate", *words]) == 2
    assert said in capfd.readouterr().err
