"""Both flows from the command line against a real server, whose model answers alike whatever it is asked.

With room its answer is one for the first text of a request; without it is cut off and none at all.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_corpus import write_corpus

from flows.__main__ import main
from tasks.llm.store import RequestStore
from tasks.run.costs import Ledger
from tasks.storage.tables import read_rows
from tests.llm.serving import ANSWER, QUESTION, QUOTE, SAID, Served

pytestmark = pytest.mark.server

ROOM, SHORT = 100, 16  # tokens of an answer; of them 16 are the least that can be set
PRICES = {"price_input": 1.0, "price_output": 4.0}


@pytest.fixture
def sluice(served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str], without_dask: None) -> Any:
    """Runs a flow that asks the server. Returns the run's folder, its summary and what the terminal showed."""

    def run(flow: str, name: str, **flags: Any) -> tuple[Path, dict[str, Any], str]:
        given = {"llm_url": served.url, "model": served.model, "max_cost": 1.0, **PRICES, **flags}
        given |= {"runs_dir": tmp_path / "runs", "run": name}
        words = [
            word for flag, value in given.items() for word in ("--" + flag.replace("_", "-"), str(value))
        ]
        code = main([flow, *words])
        out, err = capfd.readouterr()
        assert (code, err) == (0, "")
        folder = tmp_path / "runs" / flow / name
        return folder, json.loads((folder / "summary.json").read_text()), out

    return run


@pytest.fixture
def documents(tmp_path: Path) -> dict[str, Any]:
    """Six documents, all of which are read; the two of sums hold what the model quotes."""
    corpus, target = write_corpus(tmp_path, per_topic=2, examples=8)
    read = {"strategy": "everything", "rounds": 1, "train": "never", "workers": 1}
    return {"extractor": "llm", "corpus": corpus, "target": target, "documents_per_request": 3, **read}


@pytest.fixture
def questions(tmp_path: Path) -> dict[str, Any]:
    """Two tables of eight records, eight labelled pairs, and seven pairs to decide, of which four match."""
    tables = {
        "left": [("id", "name"), *((f"a{n}", f"old mill by the lake {n}") for n in range(8))],
        "right": [("id", "name"), *((f"b{n}", f"The Old Mill by the lake, no. {n}") for n in range(8))],
        "labels": [("ltable_id", "rtable_id", "label")],
        "pairs": [("ltable_id", "rtable_id", "label")],
    }
    tables["labels"] += [(f"a{n}", f"b{n + step}", 1 - step) for n in range(4) for step in (0, 1)]
    tables["pairs"] += [(f"a{n}", f"b{n}", 1) for n in range(4, 8)]
    tables["pairs"] += [(f"a{n}", f"b{n - 1}", 0) for n in range(5, 8)]
    for name, rows in tables.items():
        with (tmp_path / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
    return {**{name: tmp_path / f"{name}.csv" for name in tables}, "judge": "llm", "batch_size": 4}


def replies(run: Path) -> dict[str, dict[str, Any]]:
    """What the server sent, by the request's key, out of the store beside the runs."""
    with RequestStore(run.parents[1] / "requests.sqlite") as store:
        return {key: json.loads(raw) for key, raw in store.get_many(list(store.calls())).items()}


def contents(run: Path) -> Iterator[str]:
    return (reply["choices"][0]["message"]["content"] for reply in replies(run).values())


def check_account(run: Path, asked: int) -> float:
    """Whether the ledger has what the server's own counts come to. Returns that in dollars."""
    usage = [reply["usage"] for reply in replies(run).values()]
    sent, answered = (sum(one[name] for one in usage) for name in ("prompt_tokens", "completion_tokens"))
    rows = Ledger(run / "costs.jsonl").rows()
    sums = {
        name: sum(row[name] for row in rows)
        for name in ("requests", "retries", "tokens_sent", "tokens_answered")
    }
    assert sums == {"requests": asked, "retries": 0, "tokens_sent": sent, "tokens_answered": answered}
    assert len(usage) == asked
    assert sent > 500 * asked  # what is asked is longer than that
    cost = (sent * PRICES["price_input"] + answered * PRICES["price_output"]) / 1e6
    for name in ("cost", "cost_paid"):
        assert sum(row[name] for row in rows) == pytest.approx(cost)
    return cost


def paid(run: Path) -> float:
    return float(sum(row["cost_paid"] + row["requests"] for row in Ledger(run / "costs.jsonl").rows()))


def test_documents_end_with_pairs_or_with_a_reason(prefect_server, served, sluice, documents):
    before = served.asked()
    run, summary, out = sluice("equal", "r", max_answer_tokens=ROOM, **documents)
    asked = served.asked() - before
    assert asked == 2 * 6  # a request answers for one document, and one more mends its pair
    assert set(contents(run)) == {SAID}
    cost = check_account(run, asked)
    assert summary["cost"] == pytest.approx(cost)
    assert f"${cost:.2f}" in out

    texts = {row["id"]: row["text"] for row in read_rows(run / "documents.parquet") if row["extracted"]}
    (pair,) = read_rows(run / "pairs.parquet")
    assert (pair["question"], pair["answer"], pair["rule"]) == (QUESTION, ANSWER, served.model)
    assert texts[pair["document_id"]][pair["start"] : pair["end"]] == QUOTE
    assert pair["prompt_hash"] in replies(run)
    rejected = {row["id"].partition("#")[0]: row["reason"] for row in read_rows(run / "rejected.parquet")}
    assert {pair["document_id"], *rejected} == set(texts)
    assert Counter(rejected.values()) == {"duplicate pair": 1, "quote not in the document": 4}
    assert summary["rejected"] == Counter(rejected.values())
    exported = [json.loads(line) for line in (run / "export/alpaca.jsonl").read_text().splitlines()]
    assert [row["output"] for row in exported] == [ANSWER]

    again, repeated, _ = sluice("equal", "again", max_answer_tokens=ROOM, **documents)
    assert served.asked() - before == asked
    assert read_rows(again / "pairs.parquet") == [pair]
    assert (repeated["cost"], paid(again)) == (pytest.approx(cost), 0)


def test_documents_without_an_answer_are_counted_and_cost_what_was_paid(
    prefect_server, served, sluice, documents
):
    before = served.asked()
    run, summary, out = sluice("equal", "r", max_answer_tokens=SHORT, **documents)
    asked = served.asked() - before
    # Three documents at once; in two halves, as JSON; each for itself, as text.
    assert asked == 2 * (1 + 2 + 3)
    assert {text == SAID[: len(text)] != SAID for text in contents(run)} == {True}
    cost = check_account(run, asked)
    assert summary["cost"] == pytest.approx(cost)
    assert summary["pairs"] == len(read_rows(run / "pairs.parquet")) == 0
    assert "no pairs: the model gave none that could be kept" in out
    read = {row["id"] for row in read_rows(run / "documents.parquet") if row["extracted"]}
    rejected = read_rows(run / "rejected.parquet")
    assert (len(rejected), {row["id"] for row in rejected}) == (6, read)
    assert {(row["reason"], row["detail"]) for row in rejected} == {
        ("no answer from the model", "the answer was cut off")
    }
    assert summary["rejected"] == {"no answer from the model": 6}


@pytest.mark.parametrize(("tokens", "by"), [(ROOM, "llm"), (SHORT, "undecided")])
def test_questions_end_with_a_verdict_or_undecided(prefect_server, served, sluice, questions, tokens, by):
    before = served.asked()
    run, summary, out = sluice("batcher", "r", max_answer_tokens=tokens, **questions)
    asked = served.asked() - before
    # One question in each request is answered; or none in 4 + 3 at once, in halves, and each for itself.
    assert asked == (7 if by == "llm" else 2 * (1 + 2) + 7)
    cost = check_account(run, asked)
    assert summary["cost_model"] == pytest.approx(cost)
    usage = [reply["usage"] for reply in replies(run).values()]
    assert (summary["requests"], summary["retries"], summary["batches"]) == (asked, 0, 2)
    assert summary["tokens_in"] == sum(one["prompt_tokens"] for one in usage)
    assert summary["tokens_out"] == sum(one["completion_tokens"] for one in usage)

    rows = read_rows(run / "explanations.parquet")
    assert summary["decided_by"] == Counter(row["decided_by"] for row in rows) == {by: 7}
    assert f"by {by}" in out
    assert summary["undecided"] == (0 if by == "llm" else 7)
    assert (summary["matches"], summary["missed_matches"]) == ((7, 0) if by == "llm" else (0, 4))
    for row in rows:
        assert json.loads(row["demonstrations"])
        if by == "llm":
            assert (row["match"], row["answer"], row["reason"]) == (True, SAID, "")
            assert row["request"] in replies(run)
        else:
            assert (row["match"], row["answer"], row["request"]) == (False, "", "")
            assert row["reason"] == "the answer was cut off"
    if by == "undecided":
        return
    again, repeated, _ = sluice("batcher", "again", max_answer_tokens=tokens, **questions)
    assert served.asked() - before == asked
    assert (again / "predictions.csv").read_text() == (run / "predictions.csv").read_text()
    assert (repeated["cost"], paid(again)) == (pytest.approx(summary["cost"]), 0)
