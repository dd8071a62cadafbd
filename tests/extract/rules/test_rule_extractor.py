"""All rules together: who claims a span, what is a reject, what is code."""

from __future__ import annotations

import pytest

from tasks.extract.extractor import make_extractor
from tasks.records import Document
from tests.extract.extracted import extract, reasons


@pytest.mark.parametrize("text", ["", "\n\n", "Plain prose. It has no structure at all.", "# Title\n\nText."])
def test_text_without_structure_is_silent(text: str) -> None:
    extraction = make_extractor("rules").extract(Document("d", text))
    assert extraction.pairs == [] == extraction.rejects


def test_labels_inside_fenced_code_are_code() -> None:
    assert extract("```\nQ: What is this?\nA: a listing of a chat\n```\n\nText.") == []


def test_unbalanced_fence_hides_nothing() -> None:
    assert len(extract("```\nQ: What is this?\nA: The rest of a page.")) == 1


def test_span_belongs_to_the_more_specific_rule() -> None:
    pairs = extract("## What have we learned?\n\nProblem: What is 2 + 2?\nSolution: 4")
    assert [pair.rule for pair in pairs] == ["problem-solution"]


def test_same_question_twice_is_a_reject() -> None:
    text = "Q: What is it?\nA: A lamp.\n\nQ: What  is it?\nA: A chair."
    assert [pair.answer for pair in extract(text)] == ["A lamp."]
    assert reasons(text) == ["duplicate question"]


def test_lengths_out_of_bounds_are_rejects() -> None:
    assert reasons("Q: Why?\nA: Because it is so.") == ["question too short"]
    assert reasons("## How long is it?\n\nVery.") == ["answer too short"]
    assert reasons("Q: What is it like?\nA: " + "long " * 900) == ["answer too long"]
    assert reasons("Q: " + "long " * 900 + "\nA: No.") == ["question too long"]
