"""One form for equal texts: Unicode composition, line ends, spaces, invisible characters."""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")

# Controls; soft hyphen, zero-width space and word joiner, byte order mark; direction overrides and the invisible tag
# characters, which can hide instructions from a reader. Zero-width joiners stay: Persian, Indic scripts and emoji
# are spelled with them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    "\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_ODD_SPACES = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_BLANK_LINES = re.compile(r"\n{4,}")


def normalise(text: str) -> str:
    """The text in NFC, with \\n line ends, plain spaces, no invisible characters, and at most two blank lines in a row.

    Indentation stays, so that code keeps its meaning. Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    Idempotent.

    Args:
        text: any string.

    Returns:
        The normalised text, without blank lines around it.
    """
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ODD_SPACES.sub(" ", text))
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        # A pattern for spaces before a line end takes time quadratic in a run of spaces elsewhere.
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    return _BLANK_LINES.sub("\n\n\n", text).strip("\n")
