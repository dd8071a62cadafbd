"""The flow of patterns: simulated workers, answers that are given, people who fill in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.records import BadInput, Stopped
from tasks.storage.tables import read_rows
from tests.csv_files import read_rows_of, written

Make = Callable[..., PatternsSettings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def settings(run: str, **changes: Any) -> PatternsSettings:
        return PatternsSettings(runs_dir=str(tmp_path), run=run, **changes)

    return settings


@pytest.fixture
def occasions(tmp_path: Path) -> str:
    """Ten workers; tea goes with <b>honey</b>."""
    draw = np.random.default_rng(1)
    rows = []
    for worker in range(10):
        for _ in range(20):
            items = ["Tea; <b>honey</b>"] * int(draw.random() < 0.5) + ["figs"] * int(draw.random() < 0.2)
            rows.append([f"w{worker}", "; ".join(items) or "nothing"])
    return written(tmp_path / "occasions.csv", ["worker", "items"], rows)


@pytest.mark.server
def test_simulated_workers_are_asked_until_it_is_clear(prefect_server, make, occasions, tmp_path):
    from flows.crowd.patterns import patterns, shown

    summary = patterns(make("r", simulate=occasions, questions=120))
    run = tmp_path / "crowd-patterns/r"
    rules = {(row["antecedent"], row["consequent"]): row for row in read_rows_of(run / "rules.csv")}
    assert rules["tea", "<b>honey</b>"]["decision"] == "significant"
    assert summary["judged"]["precision"] == summary["judged"]["recall"] == 1.0
    assert len(read_rows_of(run / "questions.csv")) == summary["asked"] <= 120
    page = (run / "report.html").read_text()
    assert "<b>honey</b>" not in page
    assert "&lt;b&gt;honey&lt;/b&gt;" in page
    assert f"{summary['significant']} of {summary['rules']} rules hold" in page
    assert (run / "expectations/docs/index.html").exists()
    assert shown(summary)[0][-2:] == ["precision", "recall"]
    patterns(make("again", simulate=occasions, questions=120))
    for name in ("rules.csv", "questions.csv"):
        assert (run / name).read_bytes() == (tmp_path / "crowd-patterns/again" / name).read_bytes()


@pytest.mark.server
def test_given_answers_are_counted_and_bad_ones_rejected_with_the_reason(prefect_server, make, tmp_path):
    from flows.crowd.patterns import patterns

    head = ["worker", "antecedent", "consequent", "support", "confidence", "kind"]
    rows = [[f"w{number}", "Tea ", "honey", "60%", "0.9", "closed"] for number in range(8)]
    rows += [["w0", "tea", "honey", "0", "0", ""], ["w9", "bread", "butter", "0", "", ""]]
    rows += [["w9", "tea", "tea", "0.5", "0.5", ""], ["w9", "tea", "figs", "often", "0.5", ""]]
    answers = written(tmp_path / "a.csv", head, rows)
    with pytest.raises(
        BadInput, match=r"--answers: 2 of 12 records cannot be used, first .*a\.csv:12 \(no answer"
    ):
        patterns(make("r", answers=answers))
    summary = patterns(make("r", answers=answers, max_broken=0.2))
    run = tmp_path / "crowd-patterns/r"
    first, *_ = read_rows_of(run / "rules.csv")
    assert (first["antecedent"], first["n"], first["decision"]) == ("tea", "8", "significant")
    assert float(first["support"]) == pytest.approx(0.6)
    assert summary["asked"] == 0
    assert summary["stopped_because"] == "nothing was to be asked"
    rejected = read_rows(run / "rejected.parquet")
    assert [row["reason"] for row in rejected] == ["answered before", "no answer", "no answer"]
    assert "is no share" in rejected[-1]["detail"]
    replayed = patterns(make("p", answers=answers, replay=True, questions=5, max_broken=0.2))
    assert replayed["asked"] == 5


@pytest.mark.server
def test_a_report_has_no_empty_cards_and_tables(prefect_server, make, tmp_path):
    from flows.crowd.patterns import patterns

    head = ["worker", "antecedent", "consequent", "support", "confidence", "kind"]
    for kind, sections in (
        ("open", set()),
        ("closed", {"course", "unsure"}),
    ):  # of a rule that was told nothing is known
        rows = [[f"w{number}", "tea", "honey", "0.1", "0.2", kind] for number in range(4)]
        patterns(make(kind, answers=written(tmp_path / f"{kind}.csv", head, rows)))
        page = (tmp_path / f"crowd-patterns/{kind}/report.html").read_text()
        assert set(re.findall(r'<section id="(course|unsure)">', page)) == sections
        assert "<figure></figure>" not in page
        assert "<tbody></tbody>" not in page
        assert "None does so far." in page


@pytest.mark.server
def test_people_fill_in_round_after_round_and_nothing_counts_twice(prefect_server, make, tmp_path):
    from flows.crowd.patterns import patterns

    rules = written(
        tmp_path / "rules.csv", ["antecedent", "consequent"], [["tea", "honey"], ["=tea", "figs"]]
    )
    given = make("r", rules=rules, questions=12, batch=6, expand=False)
    with pytest.raises(Stopped, match="6 of 6 questions are not answered") as stopped:
        patterns(given)
    assert "--resume r" in str(stopped.value)
    again = given.model_copy(update={"resume": True})
    for number in (1, 2):
        path = tmp_path / f"crowd-patterns/r/rounds/{number:03d}/wanted.csv"
        rows = read_rows_of(path)
        if number == 1:
            assert any(row["antecedent"] == "'=tea" for row in rows)
            rows[0]["support"] = "often"
            written(path, list(rows[0]), [list(row.values()) for row in rows])
            with pytest.raises(BadInput, match="no worker"):
                patterns(again)
        for at, row in enumerate(rows):
            row.update(worker=f"w{number}{at}", support="50%" if row["antecedent"] == "tea" else "0")
            row["confidence"] = "0.9" if row["support"] != "0" else ""
            if not row["antecedent"]:
                row.update(antecedent="bread", consequent="butter; jam")
        written(path, list(rows[0]), [list(row.values()) for row in rows])
        if number == 1:
            with pytest.raises(Stopped, match=r"rounds/002/wanted\.csv"):
                patterns(again)
    summary = patterns(again)
    assert summary["asked"] == 12
    run = tmp_path / "crowd-patterns/r"
    found = {row["consequent"]: row for row in read_rows_of(run / "rules.csv")}
    assert found["honey"]["decision"] == "significant"
    assert found["figs"]["decision"] == "insignificant"
    assert sum(int(row["n"]) for row in found.values()) == 12 - summary["asked_open"]
    assert found["butter; jam"]["antecedent"] == "bread"  # somebody told of it
    assert json.loads((run / "summary.json").read_text())["stopped_because"] == "the questions were used up"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--answers", "none.csv"], "/none.csv: no such file"),
        (["--simulate", "a.csv"], "--simulate worker: "),
        (["--rules", "a.csv"], "--rules consequent: "),
        (["--replay"], "give the answers with --answers"),
        (["--support", "0"], "--support"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, capfd, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.csv", ["antecedent"], [["a"]])
    assert main(["crowd", "patterns", "--runs-dir", "runs", *flags]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert not (tmp_path / "runs").exists()
