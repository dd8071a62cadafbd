"""The flow of EQUAL with a language model as its extractor, against a server that answers out of the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.__main__ import main
from tasks.llm.store import RequestStore
from tasks.records import Stopped
from tasks.run.costs import Ledger
from tasks.storage.tables import read_rows
from tests.llm.batches import answer_files, answered, requests_in
from tests.llm.fake_server import FakeServer, Faults, marked

_PAIR = re.compile(r"(?:Problem|Q): (.+?)\n(?:Solution|A): (.+?)(?=\n\n|\Z)", re.DOTALL)
PRICES = {"price_input": 1.0, "price_output": 4.0}


def answer(body: dict[str, Any]) -> str:
    """The pairs that stand in each document; pairs that are to be mended come back as they are."""
    found = {}
    for number, text in marked(body["messages"][-1]["content"]).items():
        if "\nPAIRS\n" in text:
            pairs = json.loads(text.split("\nPAIRS\n")[1])
        else:
            pairs = [{"question": q, "answer": a, "quote": a} for q, a in _PAIR.findall(text)]
        found[str(number)] = {"pairs": pairs}
    return json.dumps(found)


def asked(server: FakeServer, **changes: Any) -> dict[str, Any]:
    return {"extractor": "llm", "model": "m", "llm_url": server.url, "train": "never", **PRICES, **changes}


@pytest.mark.server
def test_a_budget_ends_a_run_that_goes_on_with_a_higher_one_and_pays_nothing_twice(
    prefect_server, settings, tmp_path, without_dask
):
    from flows.equal import equal

    with FakeServer(answer=answer, faults=Faults(errors=0.2, at_most=1)) as server:
        given = settings(tmp_path, "r", **asked(server, max_cost=0.05))
        with pytest.raises(Stopped, match="--max-cost"):
            equal(given)
        paid = {key: len(times) for key, times in server.counts()["answered"].items()}
        summary = equal(given.model_copy(update={"max_cost": 5.0, "resume": True}))
        answered = {key: len(times) for key, times in server.counts()["answered"].items()}
    run = tmp_path / "equal/r"
    assert 0 < len(paid) < len(answered)
    assert set(answered.values()) == {1}
    pairs = read_rows(run / "pairs.parquet")
    texts = {row["id"]: row["text"] for row in read_rows(run / "documents.parquet")}
    assert len(pairs) == summary["pairs"] > 0
    assert {pair["rule"] for pair in pairs} == {"m"}
    for pair in pairs:
        assert texts[pair["document_id"]][pair["start"] : pair["end"]] == pair["answer"]
    with RequestStore(tmp_path / "requests.sqlite") as store:
        (payer,) = {row[0] for row in store.connection.execute("SELECT payer FROM calls")}
        spent = store.spending(payer)
        assert all(store.get_many([pair["prompt_hash"]]) for pair in pairs)
    rows = Ledger(run / "costs.jsonl").rows()
    assert sum(row["cost_paid"] for row in rows) == pytest.approx(spent.cost)
    assert sum(row["requests"] for row in rows) == spent.requests == len(answered)
    assert sum(row["retries"] for row in rows) == spent.retries > 0
    assert summary["cost"] == pytest.approx(spent.cost)
    assert summary["cost_per_pair"] == pytest.approx(spent.cost / len(pairs))
    assert summary["cost_expected"] > 0
    page = (run / "report.html").read_text()
    assert "Requests to the model" in page


@pytest.mark.server
def test_what_another_run_has_paid_for_is_not_asked_again(prefect_server, settings, tmp_path, without_dask):
    from flows.equal import equal

    with FakeServer(answer=answer) as server:
        first = equal(settings(tmp_path, "first", **asked(server)))
        requests = len(server.asked)
        second = equal(settings(tmp_path, "second", **asked(server)))
        assert len(server.asked) == requests
    assert second["cost"] == pytest.approx(first["cost"])
    paid = [
        sum(row["cost_paid"] for row in Ledger(tmp_path / f"equal/{name}/costs.jsonl").rows())
        for name in ("first", "second")
    ]
    assert paid == pytest.approx([first["cost"], 0.0])


@pytest.mark.server
def test_a_dry_run_tells_the_cost_and_asks_nothing(prefect_server, settings, tmp_path, without_dask):
    from flows.equal import equal

    with FakeServer(answer=answer) as server:
        given = settings(tmp_path, "r", **asked(server, budget=0.5))
        expected = equal(given.model_copy(update={"dry_run": True}))
        assert not server.asked
        summary = equal(given.model_copy(update={"resume": True}))
        sent = sum(row["tokens_sent"] for row in Ledger(tmp_path / "equal/r/costs.jsonl").rows())
    assert expected["documents"] == 60
    assert summary["cost_expected"] == expected["cost"]
    assert expected["tokens_sent"] == pytest.approx(sent, rel=0.5)


@pytest.mark.server
def test_without_prices_no_cost_is_told(prefect_server, settings, tmp_path, without_dask):
    from flows.equal import equal

    unpriced = {"price_input": None, "price_output": None, "rounds": 1, "compare": ["random"]}
    with FakeServer(answer=answer) as server:
        summary = equal(settings(tmp_path, "r", **asked(server, **unpriced)))
    told = [summary, *summary["rounds"], *summary["comparison"]]
    assert {row["cost"] for row in told} == {None}
    assert [summary[name] for name in ("price", "cost_per_pair", "cost_expected", "cost_everything")] == [
        None
    ] * 4
    assert "no prices were given" in (tmp_path / "equal/r/report.html").read_text()


@pytest.mark.server
def test_files_for_a_batch_api_give_the_same_pairs_as_asking(
    prefect_server, settings, tmp_path, without_dask
):
    from flows.equal import equal

    with FakeServer(answer=answer) as server:
        straight = equal(settings(tmp_path / "straight", "r", **asked(server, rounds=2)))
    given = settings(
        tmp_path, "r", extractor="llm", model="m", llm_batch=True, train="never", rounds=2, **PRICES
    )
    run = tmp_path / "equal/r"
    summary, stops = None, 0
    while summary is None:
        try:
            summary = equal(given.model_copy(update={"resume": stops > 0}))
        except Stopped as stop:
            stops += 1
            assert "for a batch API" in str(stop)  # noqa: PT017 - how many stops there are is what is asked
            assert answer_files(run / "batch", lambda key, body: answered(key, body, answer))
    # The warm-up and two rounds; each is extracted, then mended.
    assert stops <= 6
    assert summary["pairs"] == straight["pairs"] > 0
    columns = ["id", "document_id", "question", "answer", "prompt_hash"]
    assert read_rows(run / "pairs.parquet", columns) == read_rows(
        tmp_path / "straight/equal/r/pairs.parquet", columns
    )
    rows = Ledger(run / "costs.jsonl").rows()
    written = [key for path in (run / "batch").glob("*.requests.jsonl") for key, _ in requests_in(path)]
    assert sum(row["requests"] for row in rows) == len(written) == len(set(written))
    assert sum(row["tokens_sent"] for row in rows) == 100 * len(written)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--extractor llm needs --model"),
        (["--model", "m", "--llm-url", "127.0.0.1:80"], "with http:// or https://"),
        (["--model", "m", "--llm-url", "http://u:p@127.0.0.1/v1"], "holds a user or a password"),
        (["--model", "m", "--llm-url", "http://127.0.0.1/v1", "--max-cost", "1"], "--max-cost needs prices"),
        (
            ["--model", "m", "--llm-url", "http://127.0.0.1/v1", "--llm-key", "sk-1-SECRET"],
            "never the key itself",
        ),
        (["--model", "m", "--llm-url", "http://127.0.0.1/v1", "--llm-key", "NO_SUCH_SECRET"], "is not set"),
        (["--model", "no such/model!"], "no such folder"),
        (["--model", "m", "--llm-batch", "--price-table", "none.yaml"], "none.yaml: No such file"),
    ],
)
def test_a_model_that_cannot_be_asked_is_one_line(
    corpus: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    where = ["--runs-dir", str(tmp_path / "runs"), "--corpus", str(corpus[0]), "--target", str(corpus[1])]
    assert main(["equal", "--extractor", "llm", *where, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "SECRET" not in err
    assert not (tmp_path / "runs").exists()


def test_nothing_is_compared_with_a_model_unless_it_is_named(settings: Any, tmp_path: Path) -> None:
    given = {"corpus": ["c"], "target": "t", "model": "m"}
    from tasks.loop.settings import EqualSettings

    assert EqualSettings(**given).compare == ["random"]
    assert EqualSettings(**given, extractor="llm").compare == []
    assert EqualSettings(**given, extractor="llm", compare=["dsir"]).compare == ["dsir"]
