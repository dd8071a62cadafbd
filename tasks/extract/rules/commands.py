"""Command cheat sheets: a list of what to do, and below each item the command that does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.extract.rules.layout import MAX_LINE, Layout
from tasks.extract.rules.rule import Candidate, Rule

_ITEM = re.compile(r"[ \t]{0,8}(?:[-*+]|\d{1,2}[.)])[ \t]{1,4}(\S[^\n]{3,300}):[ \t]{0,8}$")
_PROMPT = re.compile(
    r"(?:\[[^\]\n]{1,60}\][#$%]|[$%]|[Ss]hell ?>|[\w.-]{1,40}@[\w.-]{1,40}[^#$\n]{0,40}[#$])[ \t]{1,4}(?=\S)"
)
_ORDER = re.compile(
    r"[.,;]? (?:by )?(?:type|typing|run|running|enter|entering|execute|executing)(?: the following(?: command)?)?$",
    re.IGNORECASE,
)
MAX_COMMAND_LINES = 12
"""Longer fenced code is a file or a session, not the command that a line describes."""


def command(layout: Layout) -> Iterator[Candidate]:
    """A list item that ends in a colon, then a line that is all code, or a short fenced block."""
    closing = dict(layout.fences)
    for i, line in enumerate(layout.lines):
        if not line.rstrip().endswith(":") or len(line) > MAX_LINE or layout.fenced[i]:
            continue
        match = _ITEM.match(line)
        if not match:
            continue
        below = next((j for j in range(i + 1, i + 4) if not layout.blank(j)), i)
        if below in closing:
            yield from _fenced(layout, match[1], below, closing[below])
            continue
        start, end = layout.span(below, below + 1)
        code = layout.text[start:end]
        if below > i and len(code) > 2 and code[0] == code[-1] == "`" and "`" not in code[1:-1]:
            yield Candidate(_subject(layout, match[1]), *layout.trim(start + 1, end - 1))


def _fenced(layout: Layout, task: str, opening: int, closing: int) -> Iterator[Candidate]:
    """The whole of a short block; of a session with one prompt, what was typed; of a longer session, nothing."""
    task = _ORDER.sub("", task)
    start, end = layout.span(opening + 1, closing)
    if task.count(" ") < 3 or start == end or closing - opening > MAX_COMMAND_LINES:
        return
    typed = [
        (layout.starts[i] + len(line) - len(line.lstrip()) + match.end(), layout.starts[i + 1])
        for i, line in enumerate(layout.lines[opening + 1 : closing], start=opening + 1)
        if (match := _PROMPT.match(line.lstrip()))
    ]
    if not typed:
        yield Candidate(_subject(layout, task), start, end, dedent=True)
    elif len(typed) == 1:
        yield Candidate(_subject(layout, task), *layout.trim(*typed[0]))


def _subject(layout: Layout, task: str) -> str:
    """A command's task makes sense only with the name of its command or page."""
    return task if not layout.title or layout.title.lower() in task.lower() else f"{layout.title}: {task}"


RULES = (Rule("command", command, (":\n",), min_answer=2),)
