"""EQUAL with --judges: several models rate the pairs that are kept, truth inference merges them, a person decides the disputed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.__main__ import main
from tasks.records import Stopped
from tasks.run.costs import Ledger
from tasks.storage.tables import read_rows
from tests.llm.fake_server import FakeServer, marked

AT_A_SERVER = ["--train", "never", "--llm-url", "http://127.0.0.1:9/v1"]
PRICES = {"price_input": 1.0, "price_output": 4.0}


def is_bad(text: str) -> bool:
    """What the two good judges find: a third of the pairs, by their text alone."""
    return sum(text.split("Question: ")[1].encode()) % 3 == 0


def answer(body: dict[str, Any]) -> str:
    """Two judges agree; the third, "contrary", says the opposite of them."""
    found = {}
    for number, text in marked(body["messages"][-1]["content"]).items():
        good = is_bad(text) if body["model"] == "contrary" else not is_bad(text)
        found[str(number)] = {"answerable": True, "correct": good, "useful": True}
    return json.dumps(found)


@pytest.mark.server
def test_pairs_that_judges_do_not_find_good_are_left_out_and_the_disputed_wait_for_a_person(
    prefect_server, settings, tmp_path, without_dask
):
    from flows.equal import equal

    with FakeServer(answer=answer) as server:
        given = settings(
            tmp_path,
            "r",
            train="never",
            keep=0.9,
            judges=3,
            judge_models=["one", "two", "contrary"],
            model="one",
            llm_url=server.url,
            adjudicate=2,
            **PRICES,
        )
        with pytest.raises(Stopped, match=r"2 of 2 disputed pairs are not decided: .*disputed\.csv"):
            equal(given)
        asked = server.counts()["answered"]
        run = tmp_path / "equal/r"
        decided = fill_in(run / "disputed.csv", "1")
        summary = equal(given.model_copy(update={"resume": True}))
        assert server.counts()["answered"] == asked  # nobody is asked twice
    judged = {row["id"]: row for row in read_rows(run / "judged.parquet")}
    texts = {row["id"]: row for row in read_rows(run / "pairs.parquet")}
    left = {row["id"] for row in read_rows(run / "rejected.parquet") if row["stage"] == "judge"}
    assert set(judged) == left | set(texts)
    assert left
    assert {row["judges"] for row in judged.values()} == {3}
    for id_, pair in texts.items():
        bad = is_bad(f"Question: {pair['question']}\n\nAnswer: {pair['answer']}")
        assert bad == (id_ in decided and judged[id_]["p_good"] < 0.5)
        assert pair["p_good"] == pytest.approx(1.0 if id_ in decided else judged[id_]["p_good"])
    assert summary["judged"]["left_out"] == len(left)
    assert summary["judged"]["by_person"] == 2
    counts = Counter(row["judge"] for row in read_rows(run / "judgements.parquet"))
    assert set(counts) == {"one 1", "two 1", "contrary 1"}
    rows = [row for row in Ledger(run / "costs.jsonl").rows() if row["stage"] == "judge pairs"]
    assert len(rows) == 1
    assert rows[0]["cost"] > 0
    assert summary["judged"]["cost"] == pytest.approx(rows[0]["cost_paid"])


def fill_in(path: Path, good: str) -> set[str]:
    """Write an answer into every row. Returns their ids."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows({**row, "good": good} for row in rows)
    return {row["id"] for row in rows}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            [*AT_A_SERVER[2:], "--judges", "3", "--model", "m"],
            "give --train end, or never",
        ),
        (["--judges", "3", "--train", "never"], "--judges needs --model"),
        (["--adjudicate", "3"], "give --judges N"),
        (
            [*AT_A_SERVER, "--judges", "1", "--judge-models", "a", "b"],
            "--judges 1: --judge-models names 2; give --judges 2",
        ),
        ([*AT_A_SERVER, "--judges", "3", "--judge-models", "a", "a"], "a model stands there twice"),
    ],
)
def test_judges_that_cannot_work_are_one_line(corpus, tmp_path, capfd, flags, said):
    words = ["equal", "--corpus", str(corpus[0]), "--target", str(corpus[1]), *flags]
    assert main([*words, "--runs-dir", str(tmp_path / "runs")]) == 2
    assert said in capfd.readouterr().err
