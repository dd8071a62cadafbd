"""What the extractor makes of a text, checked in every test: each pair's answer is what stands at its span."""

from __future__ import annotations

from textwrap import dedent

from tasks.extract.extractor import Extraction, make_extractor
from tasks.records import Document, QAPair

# The rules whose answers lose the indentation that their lines share; all others answer with their very characters.
DEDENTED = {"command", "docstring-code", "doctest", "field-list", "parameter", "returns"}


def assert_sound(text: str, extraction: Extraction) -> None:
    end = 0
    for pair in extraction.pairs:
        assert end <= pair.start < pair.end <= len(text)
        end = pair.end
        span = text[pair.start : pair.end]
        assert span == span.strip()
        if pair.rule in DEDENTED:
            assert _unindented(span) == _unindented(pair.answer)
        else:
            assert span == pair.answer
        assert pair.question.strip()
    asked = [" ".join(pair.question.lower().split()) for pair in extraction.pairs]
    assert len(set(asked)) == len(asked)
    assert [pair.id for pair in extraction.pairs] == [f"d#{n}" for n in range(len(extraction.pairs))]


def _unindented(text: str) -> list[str]:
    return [line.lstrip(" \t") for line in text.split("\n")]


def extract(text: str) -> list[QAPair]:
    text = dedent(text).strip("\n")
    extraction = make_extractor("rules").extract(Document("d", text))
    assert_sound(text, extraction)
    return extraction.pairs


def reasons(text: str) -> list[str]:
    rejects = make_extractor("rules").extract(Document("d", dedent(text).strip("\n"))).rejects
    return [reject.reason for reject in rejects]


def found(text: str) -> list[tuple[str, str, str]]:
    return [(pair.rule, pair.question, pair.answer) for pair in extract(text)]


SOURCE = '''
"""Sums."""

def total(numbers: list[int],
          start: int = 0) -> int:
    """
    Add up numbers.

    :param numbers: what to add, in any
        order
    :return: their sum and the start
    >>> total([1, 2])
    3
    >>> many = [1] * 4
    >>> total(many)
    4
    """
    for number in numbers:

        start += number
    return start

def bare(x):
    return x
'''

DOCSTRING = """
# package.module.solve

`solve(a, b, *, check=True)`

Solve the equation for x.

Parameters
----------
a, b : array_like
    The two sides.

    They must have one shape.
check : bool
    Whether to check
    the input.
out
Returns
-------
x : array
    The solution of the equation.

Examples
--------
Import it first:

>>> from package import solve
>>> solve(1,
...       2)
2.0
>>> solve
<function solve at 0x7f3a5c0d>

>>> solve(0, 1)  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
ValueError: no solution
"""
