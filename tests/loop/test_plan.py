from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.loop.plan import Plan, documents_budget, make_plan
from tasks.loop.settings import EqualSettings


def settings(**fields: Any) -> EqualSettings:
    return EqualSettings(corpus=["c"], target="t", **fields)


@pytest.mark.parametrize(
    ("share", "documents", "budget"),
    [
        (0.05, 3000, 150),
        (0.07, 100, 7),
        (0.05, 19, 1),
        (0.05, 39, 1),
        (0.05, 40, 2),
        (1.0, 7, 7),
        (0.29, 100, 29),
    ],
)
def test_the_budget_is_the_share_rounded_down_and_one_at_the_least(
    share: float, documents: int, budget: int
) -> None:
    assert documents_budget(documents, settings(budget=share)) == budget


def test_everything_reads_everything() -> None:
    assert documents_budget(50, settings(budget=0.1, strategy="everything")) == 50
    assert documents_budget(50, settings(budget=0.1), "everything") == 50


@given(
    documents=st.integers(1, 5000),
    clusters=st.integers(1, 200),
    share=st.floats(0.001, 1.0),
    rounds=st.integers(1, 40),
    read_share=st.floats(0.0, 1.0),
)
def test_the_rounds_spend_exactly_what_the_warm_up_left(
    documents: int, clusters: int, share: float, rounds: int, read_share: float
) -> None:
    own = settings(budget=share, rounds=rounds)
    read = int(read_share * documents_budget(documents, own))
    plan = make_plan(documents, clusters, read, own.strategy, own)
    assert read + sum(plan.documents) == plan.budget == documents_budget(documents, own)
    assert all(count > 0 for count in plan.documents)
    assert plan.rounds == min(rounds, plan.budget - read)
    assert max(plan.documents, default=0) - min(plan.documents, default=0) <= 1
    assert 1 <= plan.per_pull <= 16


def test_a_pull_is_small_enough_to_try_every_arm_on_half_the_budget() -> None:
    plan = make_plan(6000, 55, 30, "ucb", settings(budget=0.05))
    assert plan.per_pull == 2
    assert plan.per_pull * 55 <= (plan.budget - 30) / 2


def test_a_plan_survives_its_json() -> None:
    plan = make_plan(1000, 10, 5, "ucb", settings())
    assert Plan.from_dict(plan.as_dict()) == plan
