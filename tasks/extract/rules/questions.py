"""Questions that stand as headings, in bold, or on lines of their own, and the text below that answers them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.extract.rules.layout import MAX_LINE, Layout, plain
from tasks.extract.rules.rule import Candidate, Rule

_ASKS = re.compile(
    r"\b(?:what|how|why|who|whom|whose|when|where|which|is|are|am|was|were|can|could|do|does|did|will|would|should"
    r"|shall|may|must|has|have|had|isn|aren|don|doesn|won|can)\b",
    re.IGNORECASE,
)
_OPENS = re.compile(
    r"(?:what|how|why|who|whom|whose|when|where|which|is|are|can|could|do|does|did|will|should)\b",
    re.IGNORECASE,
)
_BOLD = re.compile(r"[ ]{0,3}\*\*([^*\n]{5,300})\*\*[ \t]{0,8}$")
_NUMBER = re.compile(r"\(?\d{1,2}[.)][ \t]{1,3}")
_YES_NO = re.compile(r"(?:Yes|No)[.,;:—–-]")


def heading_question(layout: Layout) -> Iterator[Candidate]:
    """A heading that is a question; the answer goes to the next heading that is no part of it."""
    headings = [i for i, level in enumerate(layout.level) if level]
    asked = {i for i in headings if _is_question(layout.heading(i))}
    for place, i in enumerate(headings):
        if i not in asked:
            continue
        later = place + 1
        while (
            later < len(headings)
            and headings[later] not in asked
            and layout.level[headings[later]] > layout.level[i]
        ):
            later += 1
        end = headings[later] if later < len(headings) else len(layout.lines)
        yield _candidate(layout, layout.heading(i), i + 1, end)


def bold_question(layout: Layout) -> Iterator[Candidate]:
    """A line in bold that is a question; the answer goes to the next line in bold or heading."""
    bold = {i: plain(match[1]) for i, line in enumerate(layout.lines) if (match := _bold(layout, i, line))}
    asked = [i for i in bold if _is_question(bold[i])]
    stops = _stops(layout, set(bold))
    for i in asked:
        yield _candidate(layout, bold[i], i + 1, stops[i + 1])


def question_line(layout: Layout) -> Iterator[Candidate]:
    """A question alone on the first line of a paragraph whose other lines answer it, as in a list of FAQ."""
    asked = [
        i
        for i in range(len(layout.lines))
        if layout.blank(i - 1) and not layout.blank(i + 1) and _asks(layout, i)
    ]
    stops = _stops(layout, set(asked))
    for i in asked:
        yield _candidate(layout, plain(layout.lines[i]), i + 1, stops[i + 1])


def yes_no(layout: Layout) -> Iterator[Candidate]:
    """A question alone in its paragraph, and a next paragraph that begins with Yes or No."""
    for i in range(len(layout.lines) - 2):
        if not layout.blank(i + 1) or not _YES_NO.match(layout.lines[i + 2]):
            continue
        if layout.blank(i - 1) and _asks(layout, i):
            end = i + 3
            while not layout.blank(end):
                end += 1
            yield _candidate(layout, plain(layout.lines[i]), i + 2, end)


def _candidate(layout: Layout, question: str, first: int, last: int) -> Candidate:
    start, end = layout.span(first, last)
    number = _NUMBER.match(question)
    question = layout.in_context(question[number.end() :] if number else question)
    return Candidate(question, start, end, "" if start < end else "no answer")


def _is_question(text: str) -> bool:
    """At least three words, one of them asking, and a question mark at the end."""
    return text.endswith("?") and text.count(" ") >= 2 and bool(_ASKS.search(text))


def _asks(layout: Layout, i: int) -> bool:
    """Whether line i is a question that opens with an asking word, outside of code."""
    line = layout.lines[i].strip()
    return (
        line.endswith("?")
        and len(line) <= MAX_LINE
        and not layout.fenced[i]
        and bool(_OPENS.match(line))
        and " " in line
    )


def _bold(layout: Layout, i: int, line: str) -> re.Match[str] | None:
    if layout.fenced[i] or len(line) > MAX_LINE or not line.lstrip().startswith("**"):
        return None
    return _BOLD.match(line)


def _stops(layout: Layout, own: set[int]) -> list[int]:
    """For every line, the first line at or after it where an answer must end: a heading or one of `own`."""
    stops = [len(layout.lines)] * (len(layout.lines) + 1)
    for i in range(len(layout.lines) - 1, -1, -1):
        stops[i] = i if layout.level[i] or i in own else stops[i + 1]
    return stops


RULES = (
    Rule("yes-no-question", yes_no, ("?",), min_answer=20),
    Rule("question-line", question_line, ("?",), min_answer=20),
    Rule("bold-question", bold_question, ("?**", "?  **"), min_answer=20),
    Rule("heading-question", heading_question, ("?",), min_answer=20),
)
