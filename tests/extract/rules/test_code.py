"""Functions: signature and docstring ask for the body."""

from __future__ import annotations

from tests.extract.extracted import SOURCE, extract


def test_docstring_asks_for_the_body() -> None:
    pair = next(pair for pair in extract(SOURCE) if pair.rule == "docstring-code")
    assert pair.question.startswith("Complete the Python function.\n\ndef total(numbers: list[int],\n")
    assert pair.question.endswith('"""')
    assert pair.answer == "for number in numbers:\n\n    start += number\nreturn start"


def test_function_without_docstring_asks_nothing() -> None:
    assert extract("def bare(x):\n    return x + 1\n") == []
