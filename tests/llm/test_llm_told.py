"""What a person is told of a model's price before it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.annotate import told as annotate_told
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.llm.settings import ModelSettings
from tasks.llm.told import NO_PRICES, about, is_priced
from tasks.loop import estimate
from tasks.loop.settings import EqualSettings
from tasks.resolve import told as batcher_told
from tasks.resolve.settings import BatcherSettings

URL = "http://127.0.0.1:9/v1"
PRICES = {"price_input": 1.0, "price_output": 4.0}


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({}, False),
        ({"price_input": 1.0}, False),
        ({"price_output": 1.0}, False),
        (PRICES, True),
        ({"price_input": 0.0, "price_output": 0.0}, True),
        ({"llm_url": ""}, True),  # it runs in this process
        ({"llm_url": "", "llm_batch": True}, False),
    ],
)
def test_the_price_of_a_model_elsewhere_is_known_when_both_prices_are_given(
    given: dict[str, Any], known: bool
) -> None:
    settings = ModelSettings(**{"llm_url": URL, "model": "m", **given})
    assert is_priced(settings, ["m"]) is known


def test_every_model_that_is_asked_has_to_be_priced(tmp_path: Path) -> None:
    table = tmp_path / "prices.yaml"
    table.write_text("small: {input: 0.1, output: 0.2}\nlarge: {input: 3}\n")
    settings = ModelSettings(llm_url=URL, price_table=str(table))
    assert is_priced(settings, ["small"])
    assert not is_priced(settings, ["small", "large"])


def test_an_amount_has_the_figures_it_needs() -> None:
    assert about(0.00312) == "about $0.0031"
    assert about(1.5, 20.0) == "about $1.50 to $20.00"
    assert about(1.5, None) == NO_PRICES


def of_the_main_flow(prices: dict[str, float]) -> str:
    settings = EqualSettings(
        corpus=["c"], target="t", extractor="llm", judges=2, train="end", model="m", llm_url=URL, **prices
    )
    read = {"documents": 3, "requests": 2, "tokens_sent": 900, "tokens_answered": 70, "pairs_judged": 5}
    costs = {"cost": 0.0012, "cost_judges": 0.002} if prices else {"cost": None, "cost_judges": None}
    return estimate.told({**read, **costs}, settings)


def of_the_main_flow_judging_alone(prices: dict[str, float]) -> str:
    settings = EqualSettings(
        corpus=["c"], target="t", judges=2, train="end", model="m", llm_url=URL, **prices
    )
    judged = {**estimate._judged(settings, {"documents": 100, "tokens": 60_000}), "documents": 5, "cost": 0.1}
    assert judged["pairs_judged"]
    return estimate.told(judged, settings)


def of_records(prices: dict[str, float], judge: Any = "llm") -> str:
    settings = BatcherSettings(left="a.csv", judge=judge, model="m", llm_url=URL, **prices)
    cost = 0.0012 if prices else None
    asked = {"requests": 2, "tokens_sent": 900, "tokens_answered": 70, "cost": cost}
    return batcher_told.estimate_line(asked, settings)


def of_a_campaign(prices: dict[str, float]) -> str:
    settings = AnnotateSettings(
        items="i.csv", labels=["a", "b"], annotators="llm", model="m", llm_url=URL, **prices
    )
    expected = {"least": 9, "most": 18, "tokens_sent": 100.0, "tokens_answered": 10.0}
    return annotate_told.estimate_line({**expected, "cost_least": 0.0, "cost_most": 0.0}, settings)


@pytest.mark.parametrize(
    "line",
    [
        of_the_main_flow,
        of_the_main_flow_judging_alone,
        of_records,
        lambda prices: of_records(prices, "routed"),
        of_a_campaign,
    ],
)
def test_without_prices_no_amount_is_told_but_how_to_give_them(line: Any) -> None:
    said = line({})
    assert said.endswith(NO_PRICES)
    assert "at most at a price" not in said
    assert "$0.00" not in said
    assert NO_PRICES not in (known := line(PRICES))
    assert "about $" in known


def test_without_prices_the_tokens_are_told() -> None:
    assert "900 tokens sent and 70 answered" in of_the_main_flow({})
    assert "900 tokens sent and 70 answered" in of_records({})
    assert "900 to 1,800 tokens sent and 90 to 180 answered" in of_a_campaign({})
