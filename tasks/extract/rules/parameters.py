"""Described parameters and return values in docstrings: numpydoc sections and :param fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tasks.extract.rules.layout import DEFINES, Layout, underlined
from tasks.extract.rules.rule import Candidate, Rule

_ENTRY = re.compile(r"([*\w]{1,80}(?:, ?[*\w]{1,80}){0,5})(?:[ ]{0,2}:[ ]?[^\n]{0,300})?$")
_FIELD = re.compile(
    r"[ \t]{0,40}:(?:param|parameter|arg)[ ]{1,2}(?:[\w\[\], .]{1,60}[ ])?([*\w]{1,80}):[ \t]{0,8}(\S[^\n]*)?"
)
_RETURN = re.compile(r"[ \t]{0,40}:returns?:[ \t]{0,8}(\S[^\n]*)?")
_PARAMETERS = frozenset(("Parameters", "Other Parameters", "Attributes"))
MAX_FIELD_LINES = 12
_RETURNS = frozenset(("Returns", "Yields"))


def described_parameter(layout: Layout) -> Iterator[Candidate]:
    """Entries of a Parameters section: what is the parameter for?"""
    for subject, section, i, last in _entries(layout, _PARAMETERS):
        match = _ENTRY.match(layout.lines[i].strip()[:400])
        if match:
            kind = "attribute" if section == "Attributes" else "parameter"
            yield Candidate(
                f"What is the {kind} `{match[1]}` of `{subject}`?", *layout.span(i + 1, last), dedent=True
            )


def described_return(layout: Layout) -> Iterator[Candidate]:
    """The one entry of a Returns section: what does the function return?"""
    found = list(_entries(layout, _RETURNS))
    entries = Counter(subject for subject, _, _, _ in found)
    for subject, section, i, last in found:
        if entries[subject] == 1:
            verb = "return" if section == "Returns" else "yield"
            yield Candidate(f"What does `{subject}` {verb}?", *layout.span(i + 1, last), dedent=True)


def field_list(layout: Layout) -> Iterator[Candidate]:
    """:param name: and :return: fields of the function they stand in."""
    subject = layout.title
    for i, line in enumerate(layout.lines):
        if "def " in line or "class " in line:
            match = DEFINES.match(line)
            subject = match[1] if match else subject
        elif ":" not in line[:60] or not subject:
            continue
        elif (match := _FIELD.match(line)) and match[2]:
            yield _field(layout, i, match.start(2), f"What is the parameter `{match[1]}` of `{subject}`?")
        elif (match := _RETURN.match(line)) and match[1]:
            yield _field(layout, i, match.start(1), f"What does `{subject}` return?")


def _field(layout: Layout, i: int, column: int, question: str) -> Candidate:
    """A field's text with its continuation lines."""
    last = i + 1
    while last < min(i + MAX_FIELD_LINES, len(layout.lines)) and not layout.blank(last):
        if layout.lines[last].lstrip().startswith((":", ">>>", '"""', "'''", "..")):
            break
        last += 1
    return Candidate(question, *layout.trim(layout.starts[i] + column, layout.starts[last]), dedent=True)


def _entries(layout: Layout, names: frozenset[str]) -> Iterator[tuple[str, str, int, int]]:
    """(subject, section, entry's line, line after its description) of numpydoc sections with these names."""
    subject, i, count = layout.title, 0, len(layout.lines)
    while i < count:
        line = layout.lines[i]
        if "def " in line or "class " in line:
            match = DEFINES.match(line)
            subject = match[1] if match else subject
        if line.strip() not in names or not underlined(layout, i) or not subject:
            i += 1
            continue
        section, base = line.strip(), _indent(line)
        i += 2
        while (
            i < count and not underlined(layout, i) and (layout.blank(i) or _indent(layout.lines[i]) >= base)
        ):
            if layout.blank(i) or _indent(layout.lines[i]) > base:
                i += 1
                continue
            entry = i
            i += 1
            while i < count and (layout.blank(i) or _indent(layout.lines[i]) > base):
                i += 1
            if layout.lines[entry].strip().startswith(('"""', "'''", "```")):
                break
            yield subject, section, entry, i


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


RULES = (
    Rule("parameter", described_parameter, ("Parameters\n", "Attributes\n"), min_answer=15),
    Rule("returns", described_return, ("Returns\n", "Yields\n"), min_answer=15),
    Rule("field-list", field_list, (":param", ":return", ":arg"), min_answer=15),
)
