"""Definitions that say so: lists under a heading such as Glossary, and "Term" means ..."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.extract.rules.layout import Layout, plain
from tasks.extract.rules.rule import Candidate, Rule

_HEADINGS = re.compile(r"(?:key terms|glossary|definitions?|terminology|vocabulary)\b", re.IGNORECASE)
_ENTRY = re.compile(
    r"[ ]{0,3}(?:[-*+][ \t]{1,3})?(?:\*\*([^*:\n]{2,60}):?\*\*|([A-Z][\w /()'-]{1,60}(?=[ ]?[:–—])))[ ]?(?:[:–—-][ ]{1,3})?(?=\S)"
)
_MEANS = re.compile(
    r"[ ]{0,3}(?:[-*+][ \t]{1,3})?[*_]{0,2}[“\"]([^”\"*\n]{2,60})[”\"][*_]{0,2}[ ](?:means|refers to)[ ](?=\S)"
)


def definition(layout: Layout) -> Iterator[Candidate]:
    """Entries of a glossary, and paragraphs of the form "Term" means ...; each goes to the next or a blank line."""
    inside = False
    for i, line in enumerate(layout.lines):
        if layout.level[i]:
            inside = bool(_HEADINGS.match(layout.heading(i)))
            continue
        if layout.fenced[i]:
            continue
        if match := _entry(line, inside):
            term = plain(next(group for group in match.groups() if group))
            last = i + 1
            while (
                not layout.blank(last) and not layout.level[last] and not _entry(layout.lines[last], inside)
            ):
                last += 1
            start, end = layout.trim(layout.starts[i] + match.end(), layout.starts[last])
            yield Candidate(layout.in_context(f"What does “{term}” mean?"), start, end)


def _entry(line: str, inside: bool) -> re.Match[str] | None:
    return _MEANS.match(line[:200]) or (_ENTRY.match(line[:200]) if inside else None)


RULES = (
    Rule(
        "definition",
        definition,
        ("means", "refers to", "erms", "lossary", "efinition", "erminology"),
        min_answer=20,
    ),
)
