"""CSV files that tests write and read."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_rows(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write a heading and rows. Returns the path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def written(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The same, the path as settings hold it."""
    return str(write_rows(path, head, rows))


def read_rows_of(path: Path) -> list[dict[str, str]]:
    """The rows by the heading."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
