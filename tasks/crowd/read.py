"""Tables of answers and of known labels: CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.corpus.formats import (
    Broken,
    cell_text,
    first_records,
    given_with,
    listed,
    path_of,
    read_records,
    reader_of,
)
from tasks.corpus.read import fingerprint
from tasks.records import BadInput, Reject


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of a file, as text, of the rows that have them all.

    Args:
        columns: of equal length, in the order that they were asked for.
        lines: where each row stands in the file, from 1.
        rejected: the other rows, with the reason.
    """

    name: str
    columns: list[list[str]]
    lines: list[int]
    rejected: list[Reject]

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.name}:{self.lines[row]}"


def check_table(name: str, columns: Mapping[str, str], flag: str) -> None:
    """Whether a file can be read and has these columns.

    Args:
        columns: each column by the flag that names it.
        flag: that names the file, for messages.

    Raises:
        BadInput: one line.
    """
    known = column_names(name, flag)
    for option, column in columns.items():
        if column not in known:
            raise BadInput(f"{option} {column}: {name} has no such column; it has: {listed(known)}")


def label_column(name: str, flag: str) -> str:
    """The column of right labels: `truth`, or `label` where there is none.

    Raises:
        BadInput: there is neither.
    """
    known = column_names(name, flag)
    for column in ("truth", "label"):
        if column in known:
            return column
    raise BadInput(f"{flag} {name}: no column truth or label; it has: {listed(known)}")


def read_table(name: str, columns: Sequence[str], flag: str, optional: Sequence[str] = ()) -> Table:
    """These columns of a file.

    Args:
        optional: columns after them that may be empty, or not there at all.

    Raises:
        BadInput: the file is damaged as a whole, or no row has all columns.
    """
    found: list[list[str]] = [[] for _ in (*columns, *optional)]
    lines: list[int] = []
    rejected: list[Reject] = []
    known: dict[str, str] = {}  # one string for each name, however many rows have it
    stage = f"read {flag.lstrip('-')}"
    for number, record in read_records(path_of(name)):
        if isinstance(record, Broken):
            rejected.append(Reject(stage, record.reason, f"{name}:{number}", record.detail))
            continue
        cells = [cell_text(record.get(column)) for column in columns]
        if "" in cells:
            rejected.append(Reject(stage, f"no {columns[cells.index('')]}", f"{name}:{number}"))
            continue
        cells += [cell_text(record.get(column)) for column in optional]
        for column, cell in zip(found, cells, strict=True):
            column.append(known.setdefault(cell, cell))
        lines.append(number)
    if not lines:
        reasons = Counter(reject.reason for reject in rejected).most_common(1)
        said = f": {reasons[0][1]} of {len(rejected)} {reasons[0][0]}" if reasons else ""
        raise BadInput(f"{flag} {name}: no row can be used{said}; check the columns")
    return Table(name, found, lines, rejected)


def known_labels(name: str, task: str, flag: str) -> dict[str, str]:
    """The right label by task.

    Raises:
        BadInput: the file cannot be used, or a task has two labels.
    """
    found: dict[str, str] = {}
    for key, label in zip(*read_table(name, [task, label_column(name, flag)], flag).columns, strict=True):
        if found.setdefault(key, label) != label:
            raise BadInput(
                f"{flag} {name}: task {key[:80]} has two labels, {found[key][:40]} and {label[:40]}"
            )
    return found


def mark_of(given: Iterable[tuple[str, str]]) -> str:
    """Sizes and times of files, to keep what was read of them by: a process may outlive a file.

    Args:
        given: of each the flag that names it, and its path.

    Raises:
        BadInput: there is no such file.
    """
    marks = []
    for flag, name in given:
        with given_with(flag):
            marks.append(fingerprint([name]))
    return "".join(marks)


def column_names(name: str, flag: str) -> list[str]:
    """The columns of a file.

    Raises:
        BadInput: it cannot be read, or has no rows.
    """
    path = path_of(name)
    if not path.exists():
        raise BadInput(f"{flag} {name}: no such file")
    if path.is_dir() or reader_of(path) is None:
        raise BadInput(f"{flag} {name}: give a file of JSON lines, CSV or Parquet")
    first = next(first_records(path, 1), None)
    if first is None:
        raise BadInput(f"{flag} {name}: no rows in it")
    return [str(column) for column in first]
