"""Files that people fill in with a spreadsheet, read as spreadsheets save them."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from pathlib import Path

from tasks.records import BadInput

Line = tuple[int, dict[str, str]]

_LONGEST_CELL = 1 << 24  # characters
_DELIMITERS = ",;\t"  # a spreadsheet takes the one of its country


def read_sheet(path: Path, columns: Iterable[str], again: str) -> list[Line]:
    """The rows of a CSV file with the number of the line each ends on; cells without spaces around them.

    In UTF-8 or, with its mark at the beginning, UTF-16; cells stand apart by comma, semicolon or tab.

    Args:
        columns: that it has to have.
        again: how the run goes on without the file, for the message.

    Raises:
        BadInput: a column is gone, or this is no such file.
    """
    text = _text(path)
    wanted = set(columns)
    headings = {mark: next(csv.reader(io.StringIO(text), delimiter=mark), []) for mark in _DELIMITERS}
    delimiter = next((mark for mark, heading in headings.items() if wanted <= set(heading)), None)
    if delimiter is None:
        missing = min((wanted - set(heading) for heading in headings.values()), key=len)
        raise BadInput(
            f"{path}: no column {', '.join(sorted(missing))}; put it back, or remove the file and {again}"
        )
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [
            (
                reader.line_num,
                {name: (cell or "").strip() for name, cell in row.items() if name is not None},
            )
            for row in reader
        ]
    except csv.Error as error:
        raise BadInput(
            f"{path}:{reader.line_num}: broken CSV: {error}; mend the quotes around this line"
        ) from None


def _text(path: Path) -> str:
    data = path.read_bytes()
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not UTF-8; save it as “CSV UTF-8”") from None
