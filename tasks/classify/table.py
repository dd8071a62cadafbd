"""Rows with a label, or with a name of their own, out of CSV, JSON lines or Parquet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.corpus.formats import (
    Broken,
    Record,
    cell_text,
    listed,
    path_of,
    read_records,
)
from tasks.corpus.rows import check_usable, column_names
from tasks.records import BadInput, Reject

Shapes = tuple[tuple[int, ...], ...]
"""Of each column of numbers; () of one that holds single numbers."""

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
        shapes: of the columns that they are from.
        rejected: rows that cannot be used, with the reason.
    """

    rows: np.ndarray
    places: list[str]
    labels: list[str]
    texts: list[str]
    values: np.ndarray
    shapes: Shapes
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
        return replace(
            self,
            rows=self.rows[chosen],
            places=places,
            labels=labels,
            texts=texts,
            values=self.values[chosen],
        )


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
    known = column_names(name, flag)
    if text and features:
        raise BadInput("--text and --features: give one of them")
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


def read_labelled(
    name: str, columns: Columns, flag: str, shapes: Shapes | None = None, max_broken: float = 1.0
) -> Labelled:
    """The rows of a file that have a label and all of what they are classified by.

    Args:
        shapes: that the columns of numbers must have; by default those of most rows.
        max_broken: share of the rows that may be unusable.

    Raises:
        BadInput: none can be used, or more than `max_broken` cannot.
    """
    found: list[tuple[int, str, _Parts]] = []
    rejected: dict[int, Reject] = {}
    stage = f"read {flag.lstrip('-')}"
    for row, (number, record) in enumerate(read_records(path_of(name))):
        place = f"{name}:{number}"
        try:
            found.append((row, place, _parts(record, columns)))
        except ValueError as error:
            reason, _, detail = str(error).partition(": ")
            rejected[row] = Reject(stage, reason, place, detail)
    if shapes is None and found:
        shapes = Counter(parts.shapes for _, _, parts in found).most_common(1)[0][0]
    for row, place, parts in found:
        for column, own, usual in zip(columns.features, parts.shapes, shapes or (), strict=True):
            if own != usual:
                detail = f"{column} is {_size(own)}, not {_size(usual)}"
                rejected[row] = Reject(stage, "another shape", place, detail)
    kept = [one for one in found if one[0] not in rejected]
    in_order = [rejected[row] for row in sorted(rejected)]
    check_usable(in_order, len(kept), max_broken, flag, name)
    rows, places, parts_of = zip(*kept, strict=True)
    return Labelled(
        np.array(rows, np.int64),
        list(places),
        [parts.label for parts in parts_of],
        [parts.text for parts in parts_of] if columns.text else [],
        np.array([parts.numbers for parts in parts_of], np.float64).reshape(len(kept), -1),
        shapes or (),
        in_order,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    label: str
    text: str
    numbers: list[float]
    shapes: Shapes


def _parts(record: Record | Broken, columns: Columns) -> _Parts:
    """Label, text and numbers of a record.

    Raises:
        ValueError: "reason: detail".
    """
    if isinstance(record, Broken):
        raise ValueError(f"{record.reason}: {record.detail}")
    label = _text(record.get(columns.label))
    if not label:
        raise ValueError(f"no {columns.what}: {columns.label} is empty")
    text = _text(record.get(columns.text)) if columns.text else ""
    if columns.text and not text:
        raise ValueError(f"no text: {columns.text} is empty")
    cells = [(record.get(column), column) for column in columns.features]
    numbers = [number for cell in cells for number in _numbers(*cell)]
    return _Parts(label, text, numbers, tuple(_shape(*cell) for cell in cells))


def _text(value: Any) -> str:
    """A cell as a text, "" if it holds nothing. Whole numbers have no ".0", however they were stored."""
    text = cell_text(value)
    return "" if text.casefold() in _MISSING else text


def _numbers(value: Any, column: str) -> list[float]:
    """A cell's numbers, one or, of an array as Parquet and JSON hold it, all in its order."""
    if isinstance(value, list):
        return [number for inner in value for number in _numbers(inner, column)]
    return [_number(value, column)]


def _shape(value: Any, column: str) -> tuple[int, ...]:
    """Of an array; () of a single number."""
    if not isinstance(value, list):
        return ()
    try:
        shape = np.shape(value)
    except ValueError:
        raise ValueError(f"not an array: parts of {column} differ in length") from None
    if 0 in shape:
        raise ValueError(f"not a number: {column} is (empty)")
    return shape


def _size(shape: tuple[int, ...]) -> str:
    return f"an array of {' x '.join(map(str, shape))}" if shape else "a number"


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"not a number: {column} is {str(value)[:40] or '(empty)'}") from None
    if not math.isfinite(number):
        raise ValueError(f"not a number: {column} is {number}")
    return number
