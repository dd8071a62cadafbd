"""Tables that several operations leave, each with its schema."""

from __future__ import annotations

import pyarrow as pa

CONFUSION = "confusion.parquet"
CONFUSION_ROWS = pa.schema(
    [
        ("worker", pa.string()),
        ("truth", pa.string()),
        ("label", pa.string()),
        ("probability", pa.float64()),
        ("answers", pa.float64()),  # expected number of answers to tasks of this truth
    ]
)
