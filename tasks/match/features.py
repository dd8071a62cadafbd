"""What is compared of a pair: one similarity per attribute, or the embedding of its text.

Both steps of BATCHER (arXiv 2312.03987, section III) measure pairs by these: which questions are alike, and which
demonstration is near to which question. The distance between two pairs is Euclidean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tasks.match.read import Pairs, Table
from tasks.records import BadInput

INDEL, JACCARD = "indel", "jaccard"

Encode = Callable[[Sequence[str]], np.ndarray]
"""Texts to float32 unit rows (n, d)."""


def pair_features(
    left: Table,
    right: Table,
    pairs: Pairs,
    attributes: Sequence[str],
    *,
    measure: str = INDEL,
    merged: bool = False,
) -> np.ndarray:
    """The similarity of the two values of each attribute; 1 where both are missing and 0 where one is.

    Args:
        right: the same table as `left` where records are matched within one.
        attributes: d of them, in both tables; see `shared_attributes`.
        measure: "indel", the paper's Levenshtein ratio, 1 - (insertions + deletions) / (both lengths), which tells
            capitals apart; or "jaccard", common words / all words, which does not.
        merged: compare one text, of all attributes that are not missing, in place of each. Needs far fewer
            demonstrations where an attribute is mostly missing.

    Returns:
        float64 (n, d), or (n, 1) if merged; between 0 and 1.

    Raises:
        BadInput: a measure that is neither, or no attribute.
    """
    if measure not in (INDEL, JACCARD):
        raise BadInput(f"similarity {measure}: unknown; give {INDEL} or {JACCARD}")
    if not attributes:
        raise BadInput("no attribute to compare; name at least one that both tables have")
    similarity = _indel if measure == INDEL else _jaccard
    found = []
    for names in [list(attributes)] if merged else [[name] for name in attributes]:
        ours, theirs = _values(left, pairs.left, names), _values(right, pairs.right, names)
        missing = np.array(
            [[not one, not other] for one, other in zip(ours, theirs, strict=True)], dtype=bool
        )
        missing = missing.reshape(-1, 2)
        column = similarity(ours, theirs)
        column[missing.any(axis=1)] = 0.0
        column[missing.all(axis=1)] = 1.0
        found.append(column)
    return np.stack(found, axis=1)


def embedding_features(texts: Sequence[str], encode: Encode) -> np.ndarray:
    """One embedding of each serialised pair, float64 (n, d)."""
    return np.asarray(encode(texts), dtype=np.float64)


def _values(table: Table, rows: np.ndarray, names: Sequence[str]) -> list[str]:
    """The texts of some rows; of several attributes those that are not missing, parted by a space."""
    columns = [table.columns[name] for name in names]
    if len(columns) == 1:
        return [columns[0][row] for row in rows.tolist()]
    return [" ".join(column[row] for column in columns if column[row]) for row in rows.tolist()]


def _indel(ours: list[str], theirs: list[str]) -> np.ndarray:
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cpdist

    found = cpdist(ours, theirs, scorer=Indel.normalized_similarity, dtype=np.float64, workers=1)
    return np.array(found, dtype=np.float64)


def _jaccard(ours: list[str], theirs: list[str]) -> np.ndarray:
    words = {text: frozenset(text.casefold().split()) for text in {*ours, *theirs}}
    found = np.zeros(len(ours))
    for row, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        both = len(words[one] & words[other])
        found[row] = both / max(1, len(words[one]) + len(words[other]) - both)
    return found
