"""What judges are asked about a question-answer pair, and how their answers look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tasks.llm.form import Form

CRITERIA = ("answerable", "correct", "useful")


class Rating(BaseModel):
    """What a judge thinks of a pair."""

    answerable: bool
    correct: bool
    useful: bool


TASK = """\
You judge question-answer pairs that are to train a model. Each text below has a passage, a question, and an answer that somebody took
from the passage. Say of each, on its own:
answerable: the question can be understood and answered without seeing the passage; it does not speak of "the text" or "this figure".
correct: the answer answers this question, is supported by the passage, and is whole.
useful: one who learns this pair gets better at tasks of the kind of the examples, which are shown for their kind alone."""

_WORD = re.compile(r"\b(yes|no|true|false)\b", re.IGNORECASE)
_YES = frozenset({"yes", "true"})


def form(model: str, parameters: Mapping[str, Any], examples: Sequence[tuple[str, str]] = ()) -> Form[Rating]:
    """The form of a batch of pairs.

    Args:
        examples: questions and answers of the task that the pairs are to serve.
    """
    kind = "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in examples)
    return Form(
        "ratings",
        f"{TASK}\n\nExamples of the task:\n\n{kind}" if examples else TASK,
        Rating,
        Rating(answerable=True, correct=True, useful=True),
        'three words "yes" or "no": answerable, correct, useful.',
        rating_from_text,
        lambda rating: ", ".join("yes" if getattr(rating, name) else "no" for name in CRITERIA),
        model,
        parameters,
    )


def rating_from_text(text: str) -> Rating | None:
    """A rating by the first three words of an answer that say yes or no; None where there are fewer."""
    words = [word.casefold() in _YES for word in _WORD.findall(text)[: len(CRITERIA)]]
    return Rating(**dict(zip(CRITERIA, words, strict=True))) if len(words) == len(CRITERIA) else None


def shown(question: str, answer: str, passage: str) -> str:
    """A pair as the judges see it."""
    return f"Passage:\n{passage}\n\nQuestion: {question}\n\nAnswer: {answer}"
