"""What a model is asked for, and how its answers look: pairs from documents, then one pass that mends them.

Extraction and one refinement follow EQUAL (arXiv 2505.12250, warm-up: format, missing answers, mismatches).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from tasks.llm.form import Form


class Found(BaseModel):
    """A pair as the model gives it."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    quote: str = Field(min_length=1)


class Pairs(BaseModel):
    """All pairs of a document; none is an answer too."""

    pairs: list[Found]


EXTRACT = """\
You make question-answer pairs that will train a language model. For each text, write the questions that the text itself
answers in full, each with its answer.
- question: can be understood by somebody who has not seen the text; it names what it is about.
- answer: right and complete by the text alone; keep worked steps, formulas and code as they are.
- quote: the passage of the text that holds the answer, copied character for character, as short as it can be.
Leave out what is navigation, advertising or boilerplate. A text that answers no question has an empty list."""

REFINE = """\
You check question-answer pairs that were made from texts, before they train a language model. Each text below is followed
by a line PAIRS and its pairs as JSON. For each text, give the pairs that remain, mended where they need it.
- Format: a question is a question and can be understood without the text; an answer holds no remarks about the text.
- Missing answers: where an answer is missing or breaks off and the text has it, complete it from the text.
- Mismatches: leave out a pair whose answer does not answer its question, or that the text does not bear out.
- quote: the passage of the text that holds the answer, copied character for character. Add no new pairs."""

_EXAMPLE = Pairs(
    pairs=[
        Found(
            question="At what temperature does water boil at sea level?",
            answer="At 100 °C.",
            quote="At sea level water boils at 100 °C",
        )
    ]
)
_AS_TEXT = "for every pair three parts, each beginning on a new line with Q:, A: and QUOTE:. Write NONE for a text without pairs."
_PAIR = re.compile(
    r"^\s*Q:[ \t]*(?P<question>.+?)^\s*A:[ \t]*(?P<answer>.+?)^\s*QUOTE:[ \t]*(?P<quote>.+?)(?=^\s*Q:|\Z)",
    re.MULTILINE | re.DOTALL,
)


def form(task: str, name: str, model: str, parameters: Mapping[str, Any]) -> Form[Pairs]:
    """The form of both questions: EXTRACT or REFINE."""
    return Form(name, task, Pairs, _EXAMPLE, _AS_TEXT, pairs_from_text, pairs_to_text, model, parameters)


def pairs_from_text(text: str) -> Pairs | None:
    """Pairs written as Q:, A:, QUOTE:; None where there are none and the text does not say so."""
    found = [
        Found(**{name: value.strip() for name, value in match.groupdict().items()})
        for match in _PAIR.finditer(text)
        if all(value.strip() for value in match.groupdict().values())
    ]
    if not found and text.strip().rstrip(".").upper() != "NONE":
        return None
    return Pairs(pairs=found)


def pairs_to_text(pairs: Pairs) -> str:
    """As `pairs_from_text` reads them."""
    lines = [f"Q: {pair.question}\nA: {pair.answer}\nQUOTE: {pair.quote}" for pair in pairs.pairs]
    return "\n".join(lines) or "NONE"


def with_pairs(text: str, pairs: Sequence[Found]) -> str:
    """A document and its pairs, for the pass that mends them."""
    made = [pair.model_dump() for pair in pairs]
    return f"{text}\n\nPAIRS\n{json.dumps(made, ensure_ascii=False, indent=0)}"
