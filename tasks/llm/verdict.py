"""What a model is asked about pairs of records, and how its answers look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tasks.llm.form import Form


class Verdict(BaseModel):
    """Whether the two records of a pair mean the same."""

    match: bool


TASK = """\
You decide whether two records describe the same thing in the real world. Each text below is a pair: record A and record B,
with their attributes; "(missing)" is a value that is not known. Records of the same thing can differ in spelling,
abbreviations, order and completeness; records of different things can look alike and differ in one number, edition or name.
Answer for each pair on its own."""

_WORD = re.compile(r"\W*(yes|no|true|false|not|different|same|match)\b", re.IGNORECASE)
_YES = frozenset({"yes", "true", "same", "match"})


def form(model: str, parameters: Mapping[str, Any], shown: Sequence[tuple[str, bool]] = ()) -> Form[Verdict]:
    """The form of a batch.

    Args:
        shown: texts of the demonstrations, and whether each is a match.
    """
    return Form(
        "verdicts",
        TASK,
        Verdict,
        Verdict(match=True),
        'the word "yes" where the two are the same, else "no".',
        verdict_from_text,
        lambda verdict: "yes" if verdict.match else "no",
        model,
        parameters,
        [(text, Verdict(match=match)) for text, match in shown],
    )


def verdict_from_text(text: str) -> Verdict | None:
    """A verdict by the first word of an answer; None where that says neither."""
    found = _WORD.match(text)
    return Verdict(match=found.group(1).casefold() in _YES) if found else None
