"""Pairs as texts: every attribute said, a missing one too."""

from __future__ import annotations

from tasks.match.serialise import estimated_tokens, pair_text, pair_texts, record_text
from tests.match.conftest import pairs, table

LEFT, RIGHT = table("l", name=["Zoë", "Bo"], year=["", "1999"]), table("r", name=["Zoe"], year=["2001"])


def test_a_missing_value_is_said_to_be_missing() -> None:
    assert record_text(LEFT, 0, ["name", "year"]) == "name: Zoë; year: (missing)"


def test_attributes_come_in_the_order_asked_for() -> None:
    assert record_text(LEFT, 1, ["year", "name"]) == "year: 1999; name: Bo"


def test_texts_of_pairs_are_those_of_each_pair() -> None:
    some = pairs((0, 0), (1, 0), (0, 0))
    texts = pair_texts(LEFT, RIGHT, some, ["name", "year"])
    assert texts == [pair_text(LEFT, RIGHT, pair, ["name", "year"]) for pair in ((0, 0), (1, 0), (0, 0))]
    assert texts[1] == "A: name: Bo; year: 1999\nB: name: Zoe; year: 2001"


def test_a_token_is_four_bytes_and_an_empty_text_is_one() -> None:
    assert estimated_tokens(["", "abcd", "abcde", "ëëë"]).tolist() == [1, 1, 2, 2]
