"""The lines of a document: where they start, which are headings, which are code, and the document's title.

Every pattern here and in the rules is matched against a bounded prefix of one line, with bounded repeats and no nested
ones, so that a hostile document costs time linear in its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate

MAX_LINE = 400
"""Longer lines (characters) are prose: they are never a heading, a label or a question."""

DEFINES = re.compile(r"[ \t]{0,40}(?:async[ ])?(?:def|class)[ \t]{1,4}(\w{1,100})")
"""The head of a function or class; its name."""

QUOTES = ('"""', "'''", 'r"""', "r'''")
"""What opens a docstring."""

_HEADING = re.compile(r"(#{1,6})[ \t]{1,8}(\S[^\n]{0,399})")
_NO_TITLE = re.compile(
    r"(?:Q|A|Question|Problem|Exercise|Example|Title|Answer|Solution):|>>>|```"
    r"|(?:question|answer|problem|solution|example|introduction|instructions|overview|faq)s?[ ]?\d{0,3}$",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"(?:={3,200}|-{3,200}|~{3,200})")


@dataclass(frozen=True, slots=True)
class Layout:
    """A document's text by lines.

    Args:
        text: the document.
        lines: its lines without their newlines.
        starts: character offset of each line, and the text's length as the last item.
        level: 1-6 for a heading, 0 for other lines.
        fences: (opening, closing) lines of fenced code.
        fenced: whether a line is part of fenced code, its fences included.
        title: the text's own title, empty if it has none.
    """

    text: str
    lines: list[str]
    starts: list[int]
    level: list[int]
    fences: list[tuple[int, int]]
    fenced: list[bool]
    title: str

    @classmethod
    def of(cls, text: str) -> Layout:
        lines = text.split("\n")
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        starts[-1] = len(text)
        marks = [i for i, line in enumerate(lines) if "`" in line or "~" in line]
        marks = [i for i in marks if lines[i].lstrip().startswith(("```", "~~~"))]
        # A last fence without partner is text: otherwise one stray mark would hide the rest of the document.
        fences = list(zip(marks[::2], marks[1::2], strict=False))
        fenced = [False] * len(lines)
        for first, last in fences:
            fenced[first : last + 1] = [True] * (last + 1 - first)
        level = [0] * len(lines)
        for i, line in enumerate(lines):
            if (
                line.startswith("#")
                and not fenced[i]
                and len(line) <= MAX_LINE
                and (match := _HEADING.match(line))
            ):
                level[i] = len(match[1])
        return cls(text, lines, starts, level, fences, fenced, _title(lines))

    def blank(self, i: int) -> bool:
        """Whether line i is empty or outside of the text."""
        return not 0 <= i < len(self.lines) or not self.lines[i].strip()

    def heading(self, i: int) -> str:
        """Text of the heading at line i."""
        return plain(self.lines[i])

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Character offsets of lines first..last-1 without the white space around them."""
        return self.trim(self.starts[first], self.starts[last])

    def trim(self, start: int, end: int) -> tuple[int, int]:
        """The offsets without the white space at either end."""
        piece = self.text[start:end]
        bare = piece.strip()
        if not bare:
            return start, start
        start += len(piece) - len(piece.lstrip())
        return start, start + len(bare)

    def in_context(self, question: str) -> str:
        """The question, after the document's title unless a word of the title already stands in it."""
        if not self.title:
            return question
        words = set(_words(question))
        telling = [word for word in _words(self.title) if len(word) > 3]
        if any(word in words for word in telling or _words(self.title)):
            return question
        return f"{self.title}: {question}"


def plain(line: str) -> str:
    """A line without the marks of headings and emphasis around it."""
    bare = line.strip("*# \t\n")
    return (
        bare.strip("_").strip() if bare.startswith("_") and bare.endswith("_") and "__" not in bare else bare
    )


def underlined(layout: Layout, i: int) -> bool:
    """Whether line i is a section name with a line of - or = under it, as in docstrings."""
    if i + 1 >= len(layout.lines) or layout.blank(i):
        return False
    under = layout.lines[i + 1].strip()
    return len(under) <= 200 and bool(_UNDERLINE.fullmatch(under))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _title(lines: list[str]) -> str:
    """The first line, if it is a heading, or a short line of its own that is no sentence."""
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None or len(lines[first]) > 160:
        return ""
    line = plain(lines[first])
    if _NO_TITLE.match(line):
        return ""
    if _HEADING.match(lines[first]):
        return line
    alone = first + 1 >= len(lines) or not lines[first + 1].strip()
    sentence = line.endswith((".", ":", ";", ",", "!", "?", ")", "]", "}"))
    letters = sum(letter.isalpha() for letter in line) >= len(line) / 2
    return line if alone and not sentence and letters else ""
