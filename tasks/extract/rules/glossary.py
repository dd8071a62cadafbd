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
    """Entries of a glossary, one on a line; and lines of the form "Term" means ..."""
    inside = False
    for i, line in enumerate(layout.lines):
        if layout.level[i]:
            inside = bool(_HEADINGS.match(layout.heading(i)))
            continue
        if layout.fenced[i]:
            continue
        match = _MEANS.match(line[:200]) or (_ENTRY.match(line[:200]) if inside else None)
        if match:
            term = plain(next(group for group in match.groups() if group))
            start, end = layout.trim(layout.starts[i] + match.end(), layout.starts[i + 1])
            yield Candidate(layout.in_context(f"What does “{term}” mean?"), start, end)


RULES = (
    Rule(
        "definition",
        definition,
        ("means", "refers to", "erms", "lossary", "efinition", "erminology"),
        min_answer=20,
    ),
)
