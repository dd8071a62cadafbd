"""Doctests: what a Python expression prints, asked with the prose and the set-up before it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from tasks.extract.rules.layout import DEFINES, QUOTES, Layout, underlined
from tasks.extract.rules.rule import Candidate, Rule

MAX_PROSE = 300
MAX_PARAGRAPH_LINES = 20
MAX_SETUP = 8
"""The last imports, and the last other statements without output, of a docstring go with each of its questions."""
MAX_SETUP_CHARACTERS = 1000
"""A longer statement is not repeated."""

_EXAMPLES = re.compile(
    r"(?:usage|(?:more |some )?examples?(?: usage)?|doctests?|tests?)[ ]?:{0,2}$", re.IGNORECASE
)
_VARIES = re.compile(r" at 0x[0-9a-fA-F]{4,16}|#[ ]?(?:may vary|random|varies)\b")


def doctest(layout: Layout) -> Iterator[Candidate]:
    """Every >>> statement with expected output below it."""
    subject, summary, prose = layout.title, "", ""
    setup: deque[str] = deque(maxlen=MAX_SETUP)
    imports: deque[str] = deque(maxlen=MAX_SETUP)
    paragraph: list[str] = []
    i, count = 0, len(layout.lines)
    while i < count:
        line = layout.lines[i]
        bare = line.strip()
        if not bare.startswith(">>>"):
            if ("def " in line or "class " in line) and (match := DEFINES.match(line)):
                subject, summary, prose, paragraph = match[1], "", "", []
                setup.clear()
                imports.clear()
            elif bare.startswith(QUOTES):
                # A docstring opens, and what stood before it was code; or one closes.
                paragraph = [bare.lstrip("r\"'")] if bare.strip("r\"'") else []
                summary = prose = " ".join(paragraph)
            elif underlined(layout, i) or _EXAMPLES.match(bare):
                prose, paragraph = summary, []
                i += 1 if underlined(layout, i) else 0
            elif bare.startswith(":"):
                prose, paragraph = summary, []
            elif not bare or bare.startswith(("`", "#", ".. ", "* ", "- ")):
                paragraph = []
            elif len(paragraph) < MAX_PARAGRAPH_LINES:
                # Until the first blank line a paragraph is the summary.
                first_paragraph = not summary or summary == " ".join(paragraph)
                paragraph.append(bare)
                prose = " ".join(paragraph)
                summary = prose if first_paragraph else summary
            i += 1
            continue
        paragraph = []
        statement, i = _statement(layout, i)
        if i < count and _is_quoted_mail(layout.lines[i]):
            continue
        first = i
        while i < count and _is_output(layout.lines[i]):
            i += 1
        start, end = layout.span(first, i)
        if start == end:
            if len(statement) <= MAX_SETUP_CHARACTERS:
                (imports if statement.startswith((">>> import ", ">>> from ")) else setup).append(statement)
            continue
        output = layout.text[start:end]
        varies = _VARIES.search(output) or not output.strip(". ")
        reason = (
            "no fixed answer" if varies else "raises an error" if output.startswith("Traceback (") else ""
        )
        told = (
            f"{subject}: {_last_sentence(prose)}" if subject and prose else subject or _last_sentence(prose)
        )
        yield Candidate(
            "\n".join(filter(None, [told, *imports, *setup, statement])), start, end, reason, dedent=True
        )


def _statement(layout: Layout, i: int) -> tuple[str, int]:
    """The statement that starts at line i with its continuations, and the line after it."""
    lines = [layout.lines[i].partition("# doctest:")[0].strip()]
    i += 1
    while i < len(layout.lines):
        bare = layout.lines[i].strip()
        if bare != "..." and not bare.startswith("... "):
            break
        lines.append(bare)
        i += 1
    return "\n".join(lines), i


def _is_quoted_mail(line: str) -> bool:
    """Whether a line below >>> is a quotation of lesser depth: then the >>> is one too, and no prompt."""
    bare = line.lstrip()
    return bare.startswith(">") and not bare.startswith(">>>")


def _is_output(line: str) -> bool:
    """Expected output goes to a blank line, a prompt, or what closes the docstring or the fence."""
    bare = line.strip()
    return bool(bare) and not bare.startswith((">>>", "```", "~~~", '"""', "'''"))


def _last_sentence(prose: str) -> str:
    """The prose, or its last sentence where it is long; a directive's colons end a sentence."""
    prose = prose.removesuffix("::").removesuffix(":")
    if len(prose) <= MAX_PROSE:
        return prose
    tail = prose[-MAX_PROSE:]
    return tail.partition(". ")[2] or tail.partition(" ")[2]


RULES = (Rule("doctest", doctest, (">>> ",)),)
