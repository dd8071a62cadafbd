"""Small tables for the tests of tasks/match."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.match.read import Pairs, Table


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a file and says its name."""

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def table(name: str = "t", /, **columns: list[str]) -> Table:
    count = len(next(iter(columns.values())))
    return Table(name, [f"{name}{row}" for row in range(count)], columns)


def pairs(*rows: tuple[int, int], labels: list[int] | None = None) -> Pairs:
    ends = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Pairs(ends[:, 0], ends[:, 1], None if labels is None else np.array(labels, dtype=np.int8))
