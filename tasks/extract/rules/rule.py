"""What a rule is: a name, a cheap test for the text, and a function from layout to candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.extract.rules.layout import Layout


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question, and the characters that answer it.

    Args:
        question: self-contained text.
        start, end: character offsets of the answer; equal if there is none.
        reason: why it cannot be a pair; empty if it can.
        dedent: the answer is code or output, its common indentation is not part of it.
    """

    question: str
    start: int
    end: int
    reason: str = ""
    dedent: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which documents state a question and its answer.

    Args:
        name: stands in every pair it finds.
        find: all candidates of a document, in time linear in its length.
        marks: a document without any of these strings has no candidate.
        min_answer: shortest answer it stands for, characters.
    """

    name: str
    find: Callable[[Layout], Iterator[Candidate]]
    marks: tuple[str, ...]
    min_answer: int = 1
