"""What is asked, what an answer can cost, and what is read out of whatever a server sends."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.llm.prices import Prices
from tasks.llm.request import NotAReply, Request, Usage, read_reply
from tests.llm.verdicts import request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def reply(content: Any = "x", usage: Any = None, **choice: Any) -> str:
    body = {"choices": [{"message": {"content": content}, **choice}]}
    return json.dumps(body if usage is None else {**body, "usage": usage})


def test_the_key_is_of_model_messages_and_parameters_and_of_nothing_else() -> None:
    one = Request("m", (("user", "x"),), {"max_tokens": 1, "temperature": 0})
    assert one.key == Request("m", (("user", "x"),), {"temperature": 0, "max_tokens": 1}).key
    others = [
        Request("n", (("user", "x"),), {"max_tokens": 1, "temperature": 0}),
        Request("m", (("system", "x"),), {"max_tokens": 1, "temperature": 0}),
        Request("m", (("user", "y"),), {"max_tokens": 1, "temperature": 0}),
        Request("m", (("user", "x"),), {"max_tokens": 2, "temperature": 0}),
        Request("m", (("user", "x"), ("user", "x")), {"max_tokens": 1, "temperature": 0}),
    ]
    assert len({one.key, *(other.key for other in others)}) == 6


def test_the_key_stays_the_same_from_release_to_release() -> None:
    """Replies that are paid for are found by it."""
    key = Request("m", (("system", "s"), ("user", "ü")), {"max_tokens": 1}).key
    assert key == "befb5c2a9869f18a7ef050fc04c21720aa281aa6defc1d4c584a3b54bb2cffcf"


def test_the_key_is_the_same_whatever_the_server_calls_the_bound_of_an_answer() -> None:
    asked = request(temperature=0.5)
    assert asked.body("max_completion_tokens") == {
        "model": "m",
        "messages": [{"role": "user", "content": "Is it a stone?"}],
        "max_completion_tokens": 100,
        "temperature": 0.5,
    }
    assert asked.key == hashlib.sha256(json.dumps(asked.body(), sort_keys=True).encode()).hexdigest()


def test_a_request_without_a_bound_of_its_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        Request("m", (("user", "x"),), {"temperature": 0})


@pytest.mark.parametrize(
    ("parameters", "most"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "n": 3}, 15),
    ],
)
def test_most_answered_bounds_whatever_the_server_makes_of_the_parameters(
    parameters: dict[str, Any], most: int
) -> None:
    assert Request("m", (("user", "x"),), parameters).most_answered == most


@given(st.text(st.characters(exclude_categories=[])), st.text())
def test_the_bound_of_tokens_is_above_the_estimate_and_counts_every_byte(text: str, guide: str) -> None:
    asked = request(text, structured_outputs={"regex": guide})
    assert asked.most_tokens >= asked.tokens
    assert asked.most_tokens >= len((text + guide).encode("utf-8", "replace"))
    json.dumps(asked.body(), ensure_ascii=False).encode("utf-8")  # can be sent


def test_a_schema_is_sent_and_so_counted() -> None:
    plain, schema = request(), request(response_format={"type": "json_schema", "x": "y" * 400})
    assert schema.tokens > plain.tokens + 100
    assert schema.most_tokens > plain.most_tokens + 400


def test_usage_as_the_server_counts_it() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 6},
    }
    found = read_reply(reply(usage=usage), request()).usage
    assert (found.sent, found.cached, found.answered) == (9, 6, 4)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": None},
        {"prompt_tokens": -9, "completion_tokens": -4},
        {"prompt_tokens": True},
        {"prompt_tokens": "9"},
        {"prompt_tokens": 1 << 70, "completion_tokens": 1.5},
        {"prompt_tokens_details": None},
        {"prompt_tokens_details": {"cached_tokens": None}},
    ],
)
def test_usage_that_is_missing_or_absurd_is_an_estimate(usage: Any) -> None:
    asked = request("x" * 400)
    found = read_reply(reply("y" * 40, usage), asked).usage
    assert (found.sent, found.cached, found.answered) == (asked.tokens, 0, 10)


def test_no_more_is_cached_than_was_sent() -> None:
    usage = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 500}}
    assert read_reply(reply(usage=usage), request()).usage.cached == 5


def test_an_answer_that_ended_at_its_bound_is_cut() -> None:
    assert read_reply(reply(finish_reason="length"), request()).cut
    assert not read_reply(reply(finish_reason="stop"), request()).cut
    assert not read_reply(reply(), request()).cut


def test_an_answer_without_content_is_empty() -> None:
    assert read_reply(reply(None, finish_reason="content_filter"), request()).text == ""


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"message": []}]}',
        '{"choices": [{"message": {"content": ["x"]}}]}',
        "<html>",
        '{"choices": [{"message": {"cont',
        "[" * 100000,
    ],
)
def test_what_is_no_chat_completion_is_no_reply(raw: str) -> None:
    with pytest.raises(NotAReply) as caught:
        read_reply(raw, request())
    assert len(str(caught.value)) < 300


@given(JSON, JSON, JSON)
def test_odd_bodies_are_a_reply_or_none_and_nothing_else(content: Any, usage: Any, choice: Any) -> None:
    for body in (
        content,
        {"choices": content},
        {"choices": [choice], "usage": usage},
        {"choices": [{"message": {"content": content}, "finish_reason": choice}], "usage": usage},
        {
            "choices": [{"message": {"content": "x"}}],
            "usage": {"prompt_tokens": usage, "completion_tokens": content},
        },
    ):
        try:
            found = read_reply(json.dumps(body), request())
        except NotAReply:
            continue
        assert min(found.usage.sent, found.usage.cached, found.usage.answered) >= 0


def test_cost_takes_cached_tokens_at_their_own_price() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    found = read_reply(reply(usage=usage), request()).usage
    assert Prices(2.0, 0.5, 8.0).cost(found) == pytest.approx((6 * 2 + 4 * 0.5 + 3 * 8) / 1e6)
    assert Prices(2.0, None, 8.0).cost(found) == pytest.approx((10 * 2 + 3 * 8) / 1e6)


@given(st.text(), st.integers(0, 1000), st.integers(0, 1000), st.sampled_from([None, 0.1, 9.0]))
def test_no_reply_within_its_bounds_costs_more_than_the_most(
    text: str, cached: int, answered: int, price: float | None
) -> None:
    prices, asked = Prices(2.0, price, 8.0), request(text, answered=1000)
    usage = {
        "prompt_tokens": asked.most_tokens,
        "completion_tokens": answered,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    assert prices.cost(read_reply(reply(usage=usage), asked).usage) <= prices.most(asked) + 1e-12
    assert prices.cost(Usage(asked.tokens, 0, answered)) <= prices.most(asked) + 1e-12
