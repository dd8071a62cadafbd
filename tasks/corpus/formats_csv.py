"""How a CSV file is written: programs use commas and UTF-8, spreadsheets what is usual in their country, Excel's text UTF-16 and tabs."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice

from tasks.storage.encodings import UTF_16, encoding_of

HEAD = 1 << 16  # bytes that show it


@dataclass(frozen=True, slots=True)
class Form:
    """What to open a file with, and what stands between its cells.

    Args:
        errors: what becomes of bytes that the encoding does not have, as `open` takes it.
    """

    encoding: str
    errors: str
    delimiter: str


def form_of(head: bytes, delimiter: str = "") -> Form:
    """The form of a file by its first bytes.

    UTF-16 where its mark stands at the beginning, or else UTF-8. Commas, unless there is none in the heading, and semicolons or tabs
    split both the heading and the row after it.

    Args:
        delimiter: where it is known.
    """
    encoding = encoding_of(head)
    # Undecodable bytes survive as surrogates, so that one bad row costs that row and not the file; of UTF-16 too much is lost.
    errors = "strict" if encoding == UTF_16 else "surrogateescape"
    return Form(encoding, errors, delimiter or _delimiter(head.decode(encoding, "replace")))


def _delimiter(text: str) -> str:
    cells = {}
    for mark in ",;\t":
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        cells[mark] = [len(row) for row in islice(filter(None, rows), 2)]
    others = [mark for mark in ";\t" if len(cells[mark]) == 2 and min(cells[mark]) > 1]
    if cells[","][:1] != [1] or not others:
        return ","
    return max(others, key=lambda mark: cells[mark][0])
