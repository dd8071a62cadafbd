"""Where in a document a quoted passage stands. A model copies nearly, not always exactly, what it was told to copy."""

from __future__ import annotations

import re
import unicodedata

_SAME = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "–": "-", "—": "-", "‐": "-", "−": "-", "\u00a0": " "}
)
_ENDS = " \t\r\n\"'.…"


def locate(quote: str, text: str) -> tuple[int, int] | None:
    """The characters of a document that a quote stands for, (start, end); None where it has none such.

    Looked for as it is; then by its letters, whatever their case, Unicode form, kind of quotation marks and dashes and the
    white space between them; then without marks at its ends; then, where it leaves something out ("a ... b"), by its
    first and last part, in that order. A passage that says something else is not found.
    """
    start = text.find(quote)
    if start >= 0 and quote.strip():
        return start, start + len(quote)
    plain, places = _plain(text)
    for tried in (quote, quote.strip(_ENDS)):
        span = _find(tried, plain, places)
        if span:
            return span
    parts = [part for part in re.split(r"\.\.\.|…", quote) if part.strip(_ENDS)]
    if len(parts) < 2:
        return None
    first = _find(parts[0].strip(_ENDS), plain, places)
    if first is None:
        return None
    rest = first[1]
    for part in parts[1:]:
        found = _find(part.strip(_ENDS), plain, places, rest)
        if found is None:
            return None
        rest = found[1]
    return first[0], rest


def _find(quote: str, plain: str, places: list[int], after: int = 0) -> tuple[int, int] | None:
    """A quote in a text's plain form, no earlier than `after` characters into the text itself."""
    wanted = _plain(quote)[0].strip()
    if not wanted:
        return None
    start = plain.find(wanted)
    while start >= 0 and places[start] < after:
        start = plain.find(wanted, start + 1)
    if start < 0:
        return None
    return places[start], places[start + len(wanted) - 1] + 1


def _plain(text: str) -> tuple[str, list[int]]:
    """A text in one case and form, white space as single blanks; and the place in the text of each of its characters."""
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        if letter.isspace() or letter == "\u00a0":
            if letters and letters[-1] != " ":
                letters.append(" ")
                places.append(place)
            continue
        for one in unicodedata.normalize("NFKD", letter.translate(_SAME)).casefold():
            letters.append(one)
            places.append(place)
    return "".join(letters), places
