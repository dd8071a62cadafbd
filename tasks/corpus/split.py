"""Cuts long documents at their own structure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from tasks.corpus.tokens import count_bytes, count_tokens
from tasks.records import Document

_FENCE_LINE = re.compile(r"^(`{3,}|~{3,})[^\n]*", re.MULTILINE)
_MAJOR_HEADING = re.compile(r"^(?=#{1,2} )", re.MULTILINE)
_HEADING = re.compile(r"^(?=#{1,6} )", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n+")
_LINE = re.compile(r"\n")
_WORD = re.compile(r"\s+")

# From the coarsest cut to the finest; only the first three respect fenced code.
_LEVELS = (_MAJOR_HEADING, _HEADING, _PARAGRAPH, _LINE, _WORD)
_RESPECTS_FENCES = 3

_LONGEST_TITLE = 200  # characters; a longer first line is a paragraph


def split_document(document: Document, max_tokens: int) -> list[Document]:
    """Cuts a document into parts of at most `max_tokens` tokens, or returns it alone if it fits.

    Cuts lie at headings, else between paragraphs, lines, words, and only in a longer word between characters. Fenced
    code is cut only when one block alone is too long. The title (the first line, if it is short) is repeated at the
    head of every part, so that a part says what it is about.

    Args:
        document: the document; its text normalised.
        max_tokens: tokens of a part, its title included, by `count_tokens`.

    Returns:
        Parts with ids "parent#1", "parent#2", ... and `parent` set.
    """
    if count_tokens(document.text) <= max_tokens:
        return [document]
    title = document.text.split("\n", 1)[0].strip()
    head = f"{title}\n\n" if title and len(title) <= _LONGEST_TITLE else ""
    if count_tokens(head) > max_tokens // 4:
        head = ""
    # Both counts are rounded up, so a part's own share is one token less than the difference.
    room = max_tokens - count_tokens(head) - (1 if head else 0)
    texts = [piece.strip("\n") for piece in _pack(document.text, room, 0)]
    texts = [text for text in texts if text.strip()]
    parts = [text if number == 0 else head + text for number, text in enumerate(texts)]
    return [
        Document(
            f"{document.id}#{number}",
            part,
            document.source,
            document.metadata,
            document.origin,
            parent=document.id,
        )
        for number, part in enumerate(parts, start=1)
    ]


def _pack(text: str, room: int, level: int) -> Iterator[str]:
    """Neighbouring pieces joined as long as they fit into `room` tokens; headings go with what follows them."""
    most = 4 * room  # bytes
    held: list[str] = []
    held_size = 0
    for piece in _pieces(text, room, level):
        size = count_bytes(piece)
        if held_size + size <= most:
            held.append(piece)
            held_size += size
            continue
        # A piece that fits alone is cut for its heading only where the next cuts still respect fenced code.
        may_cut = size > most or level + 1 < _RESPECTS_FENCES
        if held and not (may_cut and held_size <= most // 4 and _only_headings(held)):
            yield "".join(held)
            held, held_size = [], 0
        if held_size + size <= most:
            held, held_size = [piece], size
        else:
            yield from _pack("".join([*held, piece]), room, level + 1)
            held, held_size = [], 0
    if held:
        yield "".join(held)


def _only_headings(pieces: list[str]) -> bool:
    return all(line.startswith("#") or not line.strip() for piece in pieces for line in piece.split("\n"))


def _pieces(text: str, room: int, level: int) -> list[str]:
    if level == len(_LEVELS):
        size = max(1, room)  # a character has at most four bytes, hence at most one token
        return [text[start : start + size] for start in range(0, len(text), size)]
    cuts = [match.end() for match in _LEVELS[level].finditer(text)]
    if level < _RESPECTS_FENCES:
        cuts = _outside(cuts, _fences(text))
    edges = sorted({0, *cuts, len(text)})
    return [text[start:end] for start, end in pairwise(edges)]


def _outside(cuts: list[int], fences: list[tuple[int, int]]) -> list[int]:
    """The cuts that do not lie within a fence; at its edges they may."""
    starts = [start for start, _ in fences]
    ends = [0, *(end for _, end in fences)]
    # The last fence that begins before the cut is the only one that can hold it.
    return [cut for cut in cuts if cut >= ends[bisect_right(starts, cut - 1)]]


def _fences(text: str) -> list[tuple[int, int]]:
    """Start and end of fenced code: from a row of marks to the next row of the same mark that is as long.

    A row that is never closed is text: otherwise one stray mark would hide the rest of the document.
    """
    rows = [(match.start(), match.end(), match[1]) for match in _FENCE_LINE.finditer(text)]
    longest_after: list[dict[str, int]] = [{}] * len(rows)  # of each mark, so that no search is in vain
    longest: dict[str, int] = {}
    for number in range(len(rows) - 1, -1, -1):
        marks = rows[number][2]
        longest_after[number] = longest
        longest = {**longest, marks[0]: max(len(marks), longest.get(marks[0], 0))}
    spans: list[tuple[int, int]] = []
    opening: tuple[int, str] | None = None
    for (start, end, marks), after in zip(rows, longest_after, strict=True):
        if opening is None:
            if after.get(marks[0], 0) >= len(marks):
                opening = start, marks
        elif marks.startswith(opening[1]):
            spans.append((opening[0], end))
            opening = None
    return spans
