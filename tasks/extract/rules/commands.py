"""Command cheat sheets: a list of what to do, and below each item the command that does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.extract.rules.layout import MAX_LINE, Layout
from tasks.extract.rules.rule import Candidate, Rule

_ITEM = re.compile(r"[ \t]{0,8}(?:[-*+]|\d{1,2}[.)])[ \t]{1,4}(\S[^\n]{3,300}):[ \t]{0,8}$")
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
        question = _subject(layout, match[1])
        if below in closing:
            start, end = layout.span(below + 1, closing[below])
            if match[1].count(" ") >= 3 and start < end and closing[below] - below <= MAX_COMMAND_LINES:
                yield Candidate(question, start, end, dedent=True)
            continue
        start, end = layout.span(below, below + 1)
        code = layout.text[start:end]
        if below > i and len(code) > 2 and code[0] == code[-1] == "`" and "`" not in code[1:-1]:
            yield Candidate(question, *layout.trim(start + 1, end - 1))


def _subject(layout: Layout, task: str) -> str:
    """A command's task makes sense only with the name of its command or page."""
    return task if not layout.title or layout.title.lower() in task.lower() else f"{layout.title}: {task}"


RULES = (Rule("command", command, (":\n",), min_answer=2),)
