"""CSV files: written so that spreadsheets show what is meant, read as spreadsheets save them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasks.records import BadInput
from tasks.storage.encodings import encoding_of
from tasks.storage.tables import write_text

Line = tuple[int, dict[str, str]]

_LONGEST_CELL = 1 << 24  # characters
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula
_YES = {"1": True, "yes": True, "y": True, "true": True, "0": False, "no": False, "n": False, "false": False}
_DELIMITERS = ",;\t"  # a spreadsheet takes the one of its country


def csv_of(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV, with a heading."""
    return "".join(map(_csv_line, [head, *rows]))


def _csv_line(cells: Sequence[Any]) -> str:
    """A row. Told that it ends in both characters of a line's end, csv quotes a cell that holds either."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow(cells)
    return stream.getvalue().removesuffix("\r\n") + "\n"


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, whole or absent."""
    write_text(path, csv_of(head, rows))


def as_text(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe before what begins one. `from_text` takes it off."""
    return f"'{value}" if value.lstrip("'").startswith(_FORMULA) else value


def from_text(cell: str) -> str:
    """The value that `as_text` made the cell of; apostrophes of its own stay."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


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


def read_verdicts(path: Path, keys: Sequence[str], column: str, again: str) -> dict[tuple[str, ...], bool]:
    """What people wrote into a column, 1 or 0, by the cells of other columns as `as_text` made them; empty ones are left out.

    Args:
        keys: columns that say what is asked.
        again: as for `read_sheet`.

    Raises:
        BadInput: as `read_sheet`, an answer that is neither, or two that differ.
    """
    found: dict[tuple[str, ...], bool] = {}
    for number, line in read_sheet(path, (*keys, column), again):
        text = line[column].casefold()
        if not text:
            continue
        if text not in _YES:
            raise BadInput(f"{path}:{number}: {column} is {text[:40]}; write 1 for yes and 0 for no")
        asked = tuple(from_text(line[name]) for name in keys)
        if found.setdefault(asked, _YES[text]) != _YES[text]:
            raise BadInput(
                f"{path}:{number}: the same was asked before, and answered otherwise; keep one of the two"
            )
    return found


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode(encoding_of(data))
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not UTF-8; save it as “CSV UTF-8”") from None
