"""Rows with a label, or with a name of their own, out of CSV, JSON lines or Parquet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.corpus.formats import (
    Broken,
    Record,
    cell_text,
    first_records,
    listed,
    path_of,
    read_records,
    reader_of,
)
from tasks.records import BadInput, Reject

_MISSING = frozenset({"", "nan"})  # "none" may be a class, and an answer


@dataclass(frozen=True, slots=True)
class Columns:
    """Where what is: a text, or numbers.

    Args:
        label: column of the label, or of what else a row must have beside what it is classified by.
        what: this is, for messages.
    """

    label: str
    text: str
    features: tuple[str, ...]
    what: str = "label"

    @property
    def names(self) -> list[str]:
        return [self.label, self.text] if self.text else [self.label, *self.features]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows that can be used.

    Args:
        rows: their places in the file, from 0, int64 (n,).
        places: the same for messages, as name:line.
        labels: given.
        texts: of each row; empty where there are numbers.
        values: numbers of each row, float64 (n, d); d = 0 where there are texts.
        rejected: rows that cannot be used, with the reason.
    """

    rows: np.ndarray
    places: list[str]
    labels: list[str]
    texts: list[str]
    values: np.ndarray
    rejected: list[Reject]

    def __len__(self) -> int:
        return len(self.labels)

    def keys(self) -> list[Any]:
        """What tells a row from others, its label left out."""
        return self.texts or [value.tobytes() for value in self.values]

    def take(self, chosen: Sequence[int]) -> Labelled:
        """Some of the rows, by their numbers."""
        texts = [self.texts[row] for row in chosen] if self.texts else []
        places, labels = ([column[row] for row in chosen] for column in (self.places, self.labels))
        return Labelled(self.rows[chosen], places, labels, texts, self.values[chosen], self.rejected)


def columns_of(
    name: str,
    label: str,
    text: str,
    features: Sequence[str],
    flag: str,
    options: tuple[str, str] = ("--label", "--text"),
    what: str = "label",
) -> Columns:
    """The columns to use of a file: those named, or all but the label.

    Args:
        flag: that names the file, for messages.
        options: that name label and text.
        what: see `Columns`.

    Raises:
        BadInput: no such file or column, or nothing to classify by.
    """
    path = path_of(name)
    if not path.exists():
        raise BadInput(f"{flag} {name}: no such file")
    if path.is_dir() or reader_of(path) is None:
        raise BadInput(f"{flag} {name}: give a file of JSON lines, CSV or Parquet")
    first = next(first_records(path, 1), None)
    if first is None:
        raise BadInput(f"{flag} {name}: no rows in it")
    if text and features:
        raise BadInput("--text and --features: give one of them")
    known = [str(column) for column in first]
    numbers = () if text else tuple(features or [one for one in known if one != label])
    found = Columns(label, text, numbers, what)
    wanted_by = zip((*options, "--features"), ([label], [text] if text else [], features), strict=True)
    for option, wanted in wanted_by:
        for column in wanted:
            if column not in known:
                raise BadInput(f"{option} {column}: {name} has no such column; it has: {listed(known)}")
    if not found.text and not found.features:
        raise BadInput(f"{flag} {name}: no column but the {what}; there is nothing to classify by")
    if label in found.features:
        raise BadInput(f"--features {label}: this is the {what}")
    return found


def read_labelled(name: str, columns: Columns, flag: str) -> Labelled:
    """The rows of a file that have a label and all of what they are classified by.

    Raises:
        BadInput: none can be used.
    """
    rows: list[int] = []
    places: list[str] = []
    labels: list[str] = []
    texts: list[str] = []
    values: list[list[float]] = []
    rejected: list[Reject] = []
    for row, (number, record) in enumerate(read_records(path_of(name))):
        try:
            label, text, value = _parts(record, columns)
            if values and len(value) != len(values[0]):
                raise ValueError(f"another size: {len(value)} numbers, {len(values[0])} in the rows before")
        except ValueError as error:
            reason, _, detail = str(error).partition(": ")
            rejected.append(Reject(f"read {flag.lstrip('-')}", reason, f"{name}:{number}", detail))
            continue
        rows.append(row)
        places.append(f"{name}:{number}")
        labels.append(label)
        texts += [text] if columns.text else []
        values.append(value)
    if not rows:
        reasons = Counter(reject.reason for reject in rejected).most_common(1)
        said = f": {reasons[0][1]} of {len(rejected)} {reasons[0][0]}" if reasons else ""
        raise BadInput(f"{flag} {name}: no row can be used{said}; check the columns")
    numbers = np.array(values, np.float64).reshape(len(rows), len(values[0]))
    return Labelled(np.array(rows, np.int64), places, labels, texts, numbers, rejected)


def _parts(record: Record | Broken, columns: Columns) -> tuple[str, str, list[float]]:
    """Label, text and numbers of a record.

    Raises:
        ValueError: "reason: detail".
    """
    if isinstance(record, Broken):
        raise ValueError(f"{record.reason}: {record.detail}")
    label = _text(record.get(columns.label))
    if not label:
        raise ValueError(f"no {columns.what}: {columns.label} is empty")
    if columns.text:
        text = _text(record.get(columns.text))
        if not text:
            raise ValueError(f"no text: {columns.text} is empty")
        return label, text, []
    return (
        label,
        "",
        [number for column in columns.features for number in _numbers(record.get(column), column)],
    )


def _text(value: Any) -> str:
    """A cell as a text, "" if it holds nothing. Whole numbers have no ".0", however they were stored."""
    text = cell_text(value)
    return "" if text.casefold() in _MISSING else text


def _numbers(value: Any, column: str) -> list[float]:
    """A cell's numbers, one or, of an array as Parquet and JSON hold it, all in its order."""
    if isinstance(value, list):
        return [number for inner in value for number in _numbers(inner, column)]
    return [_number(value, column)]


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"not a number: {column} is {str(value)[:40] or '(empty)'}") from None
    if not math.isfinite(number):
        raise ValueError(f"not a number: {column} is {number}")
    return number
