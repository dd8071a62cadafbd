"""Tables of records and files of pairs: JSON lines, CSV or Parquet, plain or gzipped, here or in an object store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.corpus.formats import cell_text, listed, whole_records
from tasks.records import BadInput

LEFT, RIGHT, LABEL = "ltable_id", "rtable_id", "label"

# What programs write for "nothing here". Not "na": it is also a country, an element and an initial.
_MISSING = frozenset({"", "nan", "null", "none", "n/a", "#n/a", "<na>", "-", "--"})
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Table:
    """Records to resolve, a column of texts per attribute.

    Args:
        name: of the file, for messages.
        ids: one per record, unique, in the file's order.
        columns: attribute -> the n values; "" is a missing value. The id is not among them.
    """

    name: str
    ids: list[str]
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def attributes(self) -> list[str]:
        return list(self.columns)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of records, as rows of two tables or of one.

    Args:
        left, right: rows, int64 (n,); where both are rows of one table, left < right.
        labels: 1 for a match, 0 for none, int8 (n,); None if they are not known.
    """

    left: np.ndarray
    right: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.left)

    def take(self, rows: np.ndarray) -> Pairs:
        """Some of the pairs, in the order of `rows`."""
        return Pairs(self.left[rows], self.right[rows], None if self.labels is None else self.labels[rows])


def read_table(name: str, id_column: str = "id") -> Table:
    """The records of a file, whose attributes are all other columns, as texts.

    Missing values (empty, null, NaN and what programs write for them) are "".

    Raises:
        BadInput: no such file, damaged, without the id column, without rows, or an id that is missing or not unique.
    """
    ids: list[str] = []
    first_seen: dict[str, int] = {}
    columns: dict[str, list[str]] = {}
    for number, record in whole_records(name):
        if id_column not in record:
            raise BadInput(
                f"{name}:{number}: no column {id_column}; it has: {listed(record)}; name the column of the ids by --id-column"
            )
        id = _text(record[id_column])
        if not id:
            raise BadInput(f"{name}:{number}: the {id_column} is empty; give every record one")
        if id in first_seen:
            raise BadInput(
                f"{name}:{number}: the {id_column} {id} stands in line {first_seen[id]} too; make ids unique"
            )
        first_seen[id] = number
        for attribute, value in record.items():
            if attribute != id_column:
                column = columns.setdefault(str(attribute), [])
                column.extend([""] * (len(ids) - len(column)))
                column.append(_text(value))
        ids.append(id)
    if not ids:
        raise BadInput(f"{name}: no rows; give a table with at least one record")
    for column in columns.values():
        column.extend([""] * (len(ids) - len(column)))
    return Table(name, ids, columns)


def read_pairs(name: str, left: Table, right: Table | None = None, *, labelled: bool = False) -> Pairs:
    """The pairs of a file with the columns ltable_id, rtable_id and, where there are labels, label (0 or 1).

    Args:
        left: the table of ltable_id.
        right: the table of rtable_id; None if that is `left` too. Then a pair has no order: it comes back with the
            lower row on the left.
        labelled: a file without labels is an error.

    Raises:
        BadInput: a column or a label is missing, an id is in no table, a record is paired with itself, or a pair stands
            there twice with different labels.
    """
    sides = [(LEFT, left, _places(left)), (RIGHT, right or left, _places(right or left))]
    rows: list[tuple[int, int]] = []
    labels: list[int] = []
    first_seen: dict[tuple[int, int], tuple[int, int]] = {}
    for number, record in whole_records(name):
        found = []
        for column, table, places in sides:
            if column not in record:
                raise BadInput(
                    f"{name}:{number}: no column {column}; it has: {listed(record)}; give {LEFT} and {RIGHT}"
                )
            id = _text(record[column])
            if id not in places:
                raise BadInput(
                    f"{name}:{number}: the {column} {id or '(empty)'} is no id of {table.name}; give the table it is of"
                )
            found.append(places[id])
        if right is None and found[0] == found[1]:
            raise BadInput(
                f"{name}:{number}: {record[LEFT]} is paired with itself; take the line out, or give the second table"
            )
        rows.append((found[0], found[1]) if right is not None else (min(found), max(found)))
        if LABEL in record or labelled:
            label = _label(record.get(LABEL), name, number)
            line, before = first_seen.setdefault(rows[-1], (number, label))
            if label != before:
                raise BadInput(
                    f"{name}:{number}: the {LABEL} is {label}, but {before} for the same pair in line {line}; keep one"
                )
            labels.append(label)
    if labels and len(labels) != len(rows):
        raise BadInput(
            f"{name}: {len(labels)} of {len(rows)} pairs have a {LABEL}; give all of them one, or none"
        )
    if not rows:
        raise BadInput(f"{name}: no rows; give at least one pair")
    ends = np.array(rows, dtype=np.int64)
    return Pairs(ends[:, 0], ends[:, 1], np.array(labels, dtype=np.int8) if labels else None)


def shared_attributes(left: Table, right: Table, chosen: Sequence[str] = ()) -> list[str]:
    """The attributes to compare: the chosen, by default those that both tables have, in the left one's order.

    Raises:
        BadInput: a chosen attribute is not in both tables, or they share none.
    """
    shared = [attribute for attribute in left.attributes if attribute in right.columns]
    if unknown := [attribute for attribute in chosen if attribute not in shared]:
        raise BadInput(
            f"{left.name} and {right.name}: no attribute {listed(unknown)} in both; they share: {listed(shared)}"
        )
    if not shared:
        raise BadInput(
            f"{left.name} and {right.name}: no attribute in common ({listed(left.attributes)}; "
            f"{listed(right.attributes)}); rename the columns that mean the same"
        )
    return list(dict.fromkeys(chosen)) or shared


def _places(table: Table) -> dict[str, int]:
    return {id: row for row, id in enumerate(table.ids)}


def _text(value: Any) -> str:
    """A cell as a text on one line; "" if it holds nothing. Whole numbers have no ".0", however they were stored."""
    text = _SPACE.sub(" ", cell_text(value)).strip()
    return "" if text.casefold() in _MISSING else text


def _label(value: Any, name: str, number: int) -> int:
    text = _text(value).casefold()
    if text not in _LABELS:
        raise BadInput(
            f"{name}:{number}: the {LABEL} is {text or '(empty)'}; give 1 for a match and 0 for none"
        )
    return _LABELS[text]
