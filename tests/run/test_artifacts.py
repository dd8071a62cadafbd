"""What the Prefect UI is given: JSON, and never at the price of a run."""

from __future__ import annotations

import json
import logging
import math
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tasks.run import artifacts

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
        artifacts.cost_table([], 1.0)
    assert caplog.text.count("not shown in the Prefect UI: ConnectError: the server is gone") == 4
