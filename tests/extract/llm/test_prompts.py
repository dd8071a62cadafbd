"""Pairs as a model writes them."""

from __future__ import annotations

import json

import pytest

from tasks.extract.llm.prompts import EXTRACT, Found, Pairs, form, pairs_from_text, pairs_to_text, with_pairs

ONE = Found(question="Who?", answer="Ada.\n\n1. first\n2. second", quote="Ada wrote it")
FORM = form(EXTRACT, "pairs", "m", {"max_tokens": 50})


def test_pairs_are_read_from_lines_with_letters() -> None:
    text = "Q: Who?\nA: Ada.\n\n1. first\n2. second\nQUOTE: Ada wrote it\n\nQ: When?\nA: 1843\nQUOTE: in 1843"
    assert pairs_from_text(text) == Pairs(
        pairs=[ONE, Found(question="When?", answer="1843", quote="in 1843")]
    )


def test_pairs_are_read_as_they_are_written() -> None:
    for pairs in (Pairs(pairs=[ONE, ONE]), Pairs(pairs=[])):
        assert pairs_from_text(pairs_to_text(pairs)) == pairs


@pytest.mark.parametrize("text", ["NONE", " none. "])
def test_a_text_without_pairs_says_so(text: str) -> None:
    assert pairs_from_text(text) == Pairs(pairs=[])


@pytest.mark.parametrize("text", ["", "I cannot help with that.", "Q: Who?\nA: Ada", "Q:\nA: x\nQUOTE: y"])
def test_what_is_neither_is_no_answer(text: str) -> None:
    assert pairs_from_text(text) is None


def test_an_answer_with_numbered_lines_stays_whole_between_numbers_in_brackets() -> None:
    text = "[1]\nQ: Who?\nA: Ada.\n\n1. first\n2. second\nQUOTE: Ada wrote it\n[2]\nNONE"
    assert FORM.read(text, 2) == {0: Pairs(pairs=[ONE]), 1: Pairs(pairs=[])}


def test_the_schema_wants_every_part_of_every_pair() -> None:
    schema = FORM.schema(2)
    assert schema["required"] == ["1", "2"]
    found = schema["$defs"]["Found"]
    assert set(found["required"]) == {"question", "answer", "quote"}
    assert found["additionalProperties"] is False


def test_a_document_and_its_pairs_are_given_to_be_mended() -> None:
    text = with_pairs("A text.", [ONE])
    assert text.startswith("A text.\n\nPAIRS\n")
    assert json.loads(text.split("\nPAIRS\n")[1]) == [ONE.model_dump()]
