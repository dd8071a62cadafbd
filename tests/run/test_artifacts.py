"""What the Prefect UI is given: JSON, and never at the price of a run."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tasks.loop.outcome.finish import cumulative
from tasks.run import artifacts
from tasks.run.costs import Ledger

ROW = {
    "arm": 3,
    "terms": "prime factor",
    "documents": 4,
    "pairs": 9,
    "reward": 0.51234,
    "bonus": math.inf,
    "pulls": 1,
    "remaining": 2,
    "cost": 0.00012,
}


def test_the_infinite_bonus_of_an_arm_never_pulled_is_no_number_in_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: dict[str, Any] = {}
    monkeypatch.setattr(artifacts, "create_table_artifact", lambda **given: shown.update(given))
    artifacts.arms_table(2, [ROW])
    assert json.loads(json.dumps(shown["table"], allow_nan=False))[0]["bonus"] is None
    assert shown["table"][0]["reward"] == 0.5123


def test_the_cost_so_far_is_that_of_the_latest_round_for_rounds_are_told_in_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = {"documents": 10, "tokens": 2000, "cost": 0.5, "pairs": 3}
    shown: dict[str, Any] = {}
    monkeypatch.setattr(artifacts, "create_markdown_artifact", lambda **given: shown.update(given))
    history = [{"extract": part}, {"extract": part}]
    artifacts.cost_table(cumulative(part, history), 3.0, 3_000_000, free=False)
    assert "| 2 | 30 | 6,000 | 9 | 1.5000 |" in shown["markdown"]
    assert "So far $1.5000; reading every document would cost $9.0000." in shown["markdown"]
    artifacts.cost_table(cumulative(part, history), 3.0, 3_000_000, free=True)
    assert "would cost, $" in shown["markdown"]
    assert "The rules are free" in shown["markdown"]
    artifacts.cost_table(cumulative(part, history, priced=False), None, 3_000_000, free=False)
    assert "| 2 | 30 | 6,000 | 9 | – |" in shown["markdown"]
    assert shown["markdown"].endswith("What it cost is not known: no prices were given.\n")


def test_what_was_asked_and_paid_stands_by_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "costs.jsonl")
    ledger.append(0, "judge", requests=1200, retries=3, tokens_sent=90_000, cost_paid=0.25)
    shown: dict[str, Any] = {}
    monkeypatch.setattr(artifacts, "create_markdown_artifact", lambda **given: shown.update(given))
    artifacts.stages_table("batcher-cost", ledger.by_stage())
    assert shown["markdown"].endswith("| judge | 1,200 | 3 | 90,000 | 0 | 0 | 0.2500 |\n")


def test_what_cannot_be_shown_is_logged_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(**given: Any) -> None:
        raise httpx.ConnectError("the server is gone")

    for name in ("create_progress", "update_progress", "create_table", "create_markdown"):
        monkeypatch.setattr(artifacts, f"{name}_artifact", fails)
    with caplog.at_level(logging.WARNING, logger="sluice"):
        assert artifacts.progress("rounds") is None
        artifacts.advance(None, 0.5)
        artifacts.advance(uuid4(), 0.5)
        artifacts.arms_table(1, [ROW])
        artifacts.cost_table([], 1.0, 10, free=True)
    assert caplog.text.count("not shown in the Prefect UI: ConnectError: the server is gone") == 4
