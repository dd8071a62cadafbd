"""Great Expectations before the loop: documents and vectors must be what it takes them for.

What Great Expectations sees is ids and measures (lengths, norms), never the text: that bounds the
memory, and its pages do not escape what they show.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.run.expectations import frame_of, unique_ids, validate
from tasks.storage.tables import iterate_rows

NORM_TOLERANCE = 1e-3
_VECTORS = 4096  # held while they are measured


def check_documents(documents: Path, pages: Path) -> None:
    """Ids there and unique, text not empty, at least one token.

    Args:
        documents: a Parquet table with at least the columns id, text and tokens.
        pages: folder of the run's expectations; its docs/index.html shows every check so far.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    def measured() -> Iterator[dict[str, Any]]:
        for row in iterate_rows(documents, ["id", "text", "tokens"]):
            yield {"id": row["id"], "characters": len((row["text"] or "").strip()), "tokens": row["tokens"]}

    validate(
        "documents",
        frame_of(measured(), ["id", "characters", "tokens"]),
        [
            gxe.ExpectTableRowCountToBeBetween(min_value=1),
            *unique_ids(gxe),
            gxe.ExpectColumnValuesToBeBetween(column="characters", min_value=1),
            gxe.ExpectColumnValuesToNotBeNull(column="tokens"),
            gxe.ExpectColumnValuesToBeBetween(column="tokens", min_value=1),
        ],
        pages,
    )


def check_vectors(vectors: Path, documents: Path, pages: Path) -> None:
    """One vector per document, every number finite, unit length within 1e-3.

    Args:
        vectors: .npy of shape (n, d); read in slices.
        documents: the Parquet table whose n rows they stand for.
        pages: folder of the run's expectations.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    matrix = np.load(vectors, mmap_mode="r", allow_pickle=False)
    ids = [row["id"] for row in iterate_rows(documents, ["id"])]

    def measured() -> Iterator[dict[str, Any]]:
        for first in range(0, len(matrix), _VECTORS):
            slab: np.ndarray = np.asarray(matrix[first : first + _VECTORS], dtype=np.float64)
            finite: np.ndarray = np.all(np.isfinite(slab), axis=1)
            norms = np.linalg.norm(np.where(finite[:, None], slab, 0.0), axis=1)
            for row, (is_finite, norm) in enumerate(
                zip(finite.tolist(), norms.tolist(), strict=True), start=first
            ):
                yield {
                    "id": ids[row] if row < len(ids) else f"row {row}",
                    "finite": int(is_finite),
                    "norm": norm,
                }

    validate(
        "vectors",
        frame_of(measured(), ["id", "finite", "norm"]),
        [
            gxe.ExpectTableRowCountToEqual(value=len(ids)),
            gxe.ExpectColumnValuesToBeInSet(column="finite", value_set=[1]),
            gxe.ExpectColumnValuesToBeBetween(
                column="norm", min_value=1 - NORM_TOLERANCE, max_value=1 + NORM_TOLERANCE
            ),
        ],
        pages,
    )
