"""A table of prices, of which the settings take the model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.llm.prices import Prices
from tasks.llm.settings import ModelSettings, check_model
from tasks.records import BadInput

TABLE = """\
small-model: {input: 0.15, cached: 0.075, output: 0.6}
large-model:
  input: 3
  output: 15
no-prices: {}
odd: {input: 1, answers: 2}
below: {input: -1}
unknown: {input: .nan}
wrong: 3
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(TABLE)
    return path


def settings(table: Path | str, model: str, **changes: Any) -> ModelSettings:
    return ModelSettings(price_table=str(table), model=model, **changes)


def test_the_models_row_is_taken(table: Path) -> None:
    assert settings(table, "small-model").prices() == Prices(0.15, 0.075, 0.6)
    assert settings(table, "large-model").prices() == Prices(3.0, None, 15.0)


def test_a_price_that_is_given_wins_over_the_table(table: Path) -> None:
    assert settings(table, "small-model", price_output=0.0).prices() == Prices(0.15, 0.075, 0.0)
    assert settings("", "small-model", price_input=2.0).prices() == Prices(2.0, None, 0.0)


def test_a_budget_takes_the_tables_prices(table: Path) -> None:
    given = {"llm_url": "http://127.0.0.1:1/v1", "max_cost": 1.0}
    check_model(settings(table, "large-model", **given), "--judge llm")
    with pytest.raises(BadInput, match="--max-cost needs prices"):
        check_model(settings("", "large-model", **given), "--judge llm")


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ({"price_input": 1.0}, False),
        ({"price_output": 1.0}, False),
        ({"price_cached": 1.0}, False),
        ({}, True),
    ],
)
def test_a_budget_needs_both_prices_and_zero_is_one_when_it_is_said(
    tmp_path: Path, given: dict[str, float], listed: bool
) -> None:
    """A price that is left out would let the budget be passed by what it is the price of."""
    table = tmp_path / "prices.yaml"
    table.write_text("m: {input: 1}\n")
    known = {**given, "llm_url": "http://127.0.0.1:1/v1", "max_cost": 1.0}
    asked = settings(table if listed else "", "m", **known)
    with pytest.raises(BadInput, match=r"--max-cost needs prices: .*0 for what costs nothing"):
        check_model(asked, "--judge llm")
    both = {"price_input": 0.0, "price_output": 0.0, **given}
    check_model(asked.model_copy(update=both), "--judge llm")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("smal-model", r"no model smal-model; did you mean small-model\?"),
        ("no-prices", "no-prices: expected input, cached, output"),
        ("odd", "odd: expected input, cached, output"),
        ("wrong", "wrong: expected input, cached, output"),
        ("below", "below: input is -1, and no price"),
        ("unknown", "unknown: input is nan, and no price"),
    ],
)
def test_a_row_that_holds_no_prices_is_named(table: Path, model: str, said: str) -> None:
    with pytest.raises(BadInput, match=rf"^--price-table {table}: {said}"):
        settings(table, model).prices()


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--price-table .*none.yaml: No such file"):
        settings(tmp_path / "none.yaml", "m").prices()
