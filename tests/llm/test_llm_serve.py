"""A real server: `transformers serve` with a model of two layers. Its answers are poor; all around them has to be right."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.llm.ask import Failure, Limits
from tasks.llm.form import JSON
from tasks.llm.ladder import Answered, Ladder, Undecided
from tasks.llm.request import Reply, Request
from tasks.llm.store import RequestStore
from tests.llm.serving import Served
from tests.llm.verdicts import DOLLAR, FORM, with_asker

LIMITS = Limits(concurrency=2, timeout=60.0, retries=1, pause=0.1)


def test_a_ladder_runs_end_to_end(served: Served, tmp_path: Path) -> None:
    form = replace(FORM, model=served.model, parameters={"max_tokens": 12, "temperature": 0.0})
    texts = ["An oak.", "Some granite."]

    async def climb(asker: Any) -> list[Any]:
        return await Ladder(form, asker).answers(texts)

    outcomes = asyncio.run(with_asker(served.url, tmp_path / "s", climb, limits=LIMITS))
    for outcome in outcomes:
        assert isinstance(outcome, Answered) or (
            isinstance(outcome, Undecided) and "the answer" in outcome.reason
        )
    with RequestStore(tmp_path / "s") as store:
        spending = store.spending("run")
        # The schema, which this server takes and ignores, then each text for itself, as JSON and as text.
        steps = [form.request(texts), *(form.request([text], JSON) for text in texts)]
        assert set(store.get_many([step.key for step in steps])) == {step.key for step in steps}
        assert 3 <= spending.requests <= 5
        assert 0 < spending.answered <= 12 * spending.requests
        assert spending.sent > 100 * spending.requests
        assert spending.cost == pytest.approx((spending.sent + spending.answered) / 1e6)
        assert spending.cost == pytest.approx(sum(outcome.cost for outcome in outcomes))
        assert spending.cost <= sum(DOLLAR.most(steps[0]) for _ in range(spending.requests))
        paid = store.calls()
    again = asyncio.run(with_asker(served.url, tmp_path / "s", climb, limits=LIMITS))
    assert again == outcomes
    with RequestStore(tmp_path / "s") as store:
        assert store.calls() == paid


def test_a_reply_is_within_the_bounds_that_its_request_was_admitted_with(
    served: Served, tmp_path: Path
) -> None:
    asked = Request(served.model, (("system", "s"), ("user", "\U0001f600 hello")), {"max_tokens": 7})
    reply = asyncio.run(with_asker(served.url, tmp_path / "s", lambda asker: asker.ask(asked), limits=LIMITS))
    assert isinstance(reply, Reply)
    assert 0 < reply.usage.sent <= asked.most_tokens
    assert 0 < reply.usage.answered <= 7
    assert reply.cut


def test_another_models_name_is_a_failure_of_one_line_and_not_kept(served: Served, tmp_path: Path) -> None:
    """This server says 400 where others say 404."""
    asked = Request("no/such-model", (("user", "hello"),), {"max_tokens": 7})
    reply = asyncio.run(with_asker(served.url, tmp_path / "s", lambda asker: asker.ask(asked), limits=LIMITS))
    assert isinstance(reply, Failure)
    assert "HTTP 400" in reply.reason
    assert "\n" not in reply.reason
    with RequestStore(tmp_path / "s") as store:
        assert store.calls() == {}
