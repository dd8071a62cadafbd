"""Records and pairs as the text that a prompt shows, and what that text costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.corpus.tokens import count_tokens
from tasks.match.read import Pairs, Table

MISSING = "(missing)"


def record_text(table: Table, row: int, attributes: Sequence[str]) -> str:
    """`attribute: value` of each attribute, in their order; a missing value is said to be missing."""
    return "; ".join(f"{name}: {table.columns[name][row] or MISSING}" for name in attributes)


def pair_text(left: Table, right: Table, pair: tuple[int, int], attributes: Sequence[str]) -> str:
    """Two lines, `A: ...` and `B: ...`."""
    return f"A: {record_text(left, pair[0], attributes)}\nB: {record_text(right, pair[1], attributes)}"


def pair_texts(left: Table, right: Table, pairs: Pairs, attributes: Sequence[str]) -> list[str]:
    """`pair_text` of every pair, in their order; a record is put into words once."""
    texts: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for table, rows, known in zip((left, right), (pairs.left, pairs.right), texts, strict=True):
        for row in np.unique(rows).tolist():
            known[row] = record_text(table, row, attributes)
    both = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    return [f"A: {texts[0][one]}\nB: {texts[1][other]}" for one, other in both]


def estimated_tokens(texts: Sequence[str]) -> np.ndarray:
    """Tokens of each text, UTF-8 bytes / 4 rounded up and at least 1, int64 (n,): an estimate before anything is paid."""
    return np.maximum(1, np.fromiter(map(count_tokens, texts), np.int64, len(texts)))
