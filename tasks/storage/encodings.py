"""The encoding of a text file: UTF-16 where its mark stands at the beginning, or else UTF-8."""

from __future__ import annotations

import codecs

UTF_16 = "utf-16"


def encoding_of(head: bytes) -> str:
    """Name of the encoding, by a file's first bytes; a mark at the beginning is no part of the text."""
    return UTF_16 if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
