"""A function whose docstring says what it does is a question; its body is the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

from tasks.extract.rules.layout import QUOTES, Layout
from tasks.extract.rules.rule import Candidate, Rule

_DEF = re.compile(r"([ \t]{0,40})(?:async[ ])?def[ \t]{1,4}(\w{1,100})[ \t]{0,4}\(")
MAX_SIGNATURE_LINES = 30


def docstring_code(layout: Layout) -> Iterator[Candidate]:
    """def, docstring, body. Lines decide, not a parser: the text may be a part of a file, or not Python at all."""
    i, count = 0, len(layout.lines)
    while i < count:
        match = _DEF.match(layout.lines[i]) if "def " in layout.lines[i] else None
        if not match:
            i += 1
            continue
        head, depth = i, len(match[1].expandtabs())
        i = _after_signature(layout, head)
        closed = _after_docstring(layout, i)
        if closed is None:
            continue
        last = i = closed
        while (
            i < count
            and (layout.blank(i) or _indent(layout.lines[i]) > depth)
            and not layout.lines[i].lstrip().startswith(("```", "~~~"))
        ):
            i += 1
            last = i if not layout.blank(i - 1) else last
        start, end = layout.span(closed, last)
        if start < end:
            stub = dedent("\n".join(layout.lines[head:closed]))
            yield Candidate(f"Complete the Python function.\n\n{stub}", start, end, dedent=True)


def _after_signature(layout: Layout, i: int) -> int:
    """The line after the one that ends the signature with a colon; the next line if none does."""
    for last in range(i, min(i + MAX_SIGNATURE_LINES, len(layout.lines))):
        if layout.lines[last].split("  #", 1)[0].rstrip().endswith(":"):
            return last + 1
    return i + 1


def _after_docstring(layout: Layout, i: int) -> int | None:
    """The line after the docstring that opens at line i, None if no docstring does or none closes."""
    opening = layout.lines[i].strip() if i < len(layout.lines) else ""
    quotes = next((mark for mark in QUOTES if opening.startswith(mark)), None)
    if quotes is None:
        return None
    if quotes[-3:] in opening[len(quotes) :]:
        return i + 1
    for last in range(i + 1, len(layout.lines)):
        if quotes[-3:] in layout.lines[last]:
            return last + 1
    return None


def _indent(line: str) -> int:
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())


RULES = (Rule("docstring-code", docstring_code, ("def ",), min_answer=8),)
