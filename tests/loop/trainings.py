"""What the tests of students have in common: a reference, pairs, and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.loop.pulls import round_folder
from tasks.loop.settings import EqualSettings
from tasks.storage.tables import PAIRS, write_table

REFERENCE = [(f"What is {a} plus {a}?", f"The sum is {2 * a}.") for a in range(11, 17)]
KEPT = [(f"What is {a} plus 3?", f"The sum is {a + 3}.") for a in range(11, 41)]
LONGEST = 64  # tokens of a pair, at most: a training may stop short by one that no longer fits


def settings(**fields: Any) -> EqualSettings:
    return EqualSettings(corpus=["c"], target="t", **fields)


def keep(run: Path, number: int, pairs: Sequence[tuple[str, str]]) -> None:
    """Pairs as a round leaves them."""
    blank = {field.name: 0 if str(field.type)[0] in "ifd" else "" for field in PAIRS}
    rows = [{**blank, "question": question, "answer": answer} for question, answer in pairs]
    write_table(round_folder(run, number) / "pairs.parquet", rows, PAIRS)
