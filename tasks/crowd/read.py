"""Tables of answers and of known labels: CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.corpus.formats import (
    Broken,
    cell_text,
    given_with,
    is_small,
    listed,
    path_of,
    read_records,
)
from tasks.corpus.read import fingerprint
from tasks.corpus.rows import check_usable, column_names
from tasks.records import BadInput, Reject

Unusable = Mapping[int, tuple[str, str]]
"""Rows that cannot be used, by number: reason and detail."""


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


def are_small(*names: str) -> bool:
    """Whether all files that are given are read in a moment, so that they may be looked at before a run begins."""
    return all(is_small(path_of(name)) for name in names if name)


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


def read_table(
    name: str,
    columns: Sequence[str],
    flag: str,
    optional: Sequence[str] = (),
    max_broken: float = 1.0,
    unusable: Callable[[list[list[str]]], Unusable] | None = None,
) -> Table:
    """These columns of a file.

    Args:
        optional: columns after them that may be empty, or not there at all.
        max_broken: share of the rows that may be unusable.
        unusable: says of the columns which rows cannot be used though they have all cells.

    Raises:
        BadInput: the file is damaged as a whole, no row can be used, or more than `max_broken` cannot.
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
    if unusable and (without := unusable(found)):
        rejected += [
            Reject(stage, reason, f"{name}:{lines[row]}", detail) for row, (reason, detail) in without.items()
        ]
        kept = [row for row in range(len(lines)) if row not in without]
        found = [[column[row] for row in kept] for column in found]
        lines = [lines[row] for row in kept]
    check_usable(rejected, len(lines), max_broken, flag, name)
    return Table(name, found, lines, rejected)


def known_labels(name: str, task: str, flag: str) -> dict[str, str]:
    """The right label by task.

    Raises:
        BadInput: the file cannot be used, or a task has two labels.
    """
    return read_known(name, task, flag).labels


@dataclass(frozen=True, slots=True)
class Known:
    """Right labels by task, and the rows that have none."""

    labels: dict[str, str]
    rejected: list[Reject]


def read_known(
    name: str,
    task: str,
    flag: str,
    max_broken: float = 1.0,
    unusable: Callable[[list[list[str]]], Unusable] | None = None,
) -> Known:
    """Right labels.

    Args:
        max_broken, unusable: as for `read_table`.

    Raises:
        BadInput: the file cannot be used, or a task has two labels.
    """
    columns = [task, label_column(name, flag)]
    table = read_table(name, columns, flag, max_broken=max_broken, unusable=unusable)
    found: dict[str, str] = {}
    for row, (key, label) in enumerate(zip(*table.columns, strict=True)):
        if found.setdefault(key, label) != label:
            raise BadInput(
                f"{flag} {table.place(row)}: task {key[:80]} has two labels, {found[key][:40]} and {label[:40]}"
            )
    return Known(found, table.rejected)


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
