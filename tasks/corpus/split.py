"""Cuts long documents at their own structure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from tasks.corpus.tokens import count_tokens
from tasks.records import Document

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[^\n]*$", re.MULTILINE | re.DOTALL)
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
    """Neighbouring pieces joined as long as they fit into `room` tokens."""
    held = ""
    for piece in _pieces(text, room, level):
        if count_tokens(held + piece) <= room:
            held += piece
            continue
        if held:
            yield held
            held = ""
        if count_tokens(piece) <= room:
            held = piece
        else:
            yield from _pack(piece, room, level + 1)
    if held:
        yield held


def _pieces(text: str, room: int, level: int) -> list[str]:
    if level == len(_LEVELS):
        size = max(1, room)  # a character has at most four bytes, hence at most one token
        return [text[start : start + size] for start in range(0, len(text), size)]
    inside = _inside_fence(text) if level < _RESPECTS_FENCES else lambda position: False
    cuts = [match.end() for match in _LEVELS[level].finditer(text) if not inside(match.end())]
    edges = sorted({0, *cuts, len(text)})
    return [text[start:end] for start, end in pairwise(edges)]


def _inside_fence(text: str) -> Callable[[int], bool]:
    spans = [match.span() for match in _FENCE.finditer(text)]
    return lambda position: any(start < position < end for start, end in spans)
