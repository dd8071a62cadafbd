"""The documents of a run, as its first stages leave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.storage.tables import read_column

CORPUS = "stages/corpus.parquet"
HELD_TOKENS = 1 << 23  # of documents' text in memory at once: 32 MiB of UTF-8


def read_documents(
    run: Path, rows: Sequence[int], columns: Sequence[str] = ("id", "text", "source", "tokens")
) -> Iterator[dict[str, Any]]:
    """Rows of the corpus table in the order asked for, read as they are needed.

    Some `HELD_TOKENS` are in memory at once, and of the table only the row groups that hold them are read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = np.asarray(rows, dtype=np.int64)
    part = np.cumsum(read_column(run / CORPUS, "tokens")[wanted], dtype=np.int64) // HELD_TOKENS
    for batch in np.split(wanted, np.flatnonzero(np.diff(part)) + 1):
        found: dict[int, dict[str, Any]] = {}
        with pq.ParquetFile(run / CORPUS) as file:
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                inside = batch[(batch >= first) & (batch < first + count)]
                if len(inside):
                    table = file.read_row_group(group, columns=list(columns)).take(pa.array(inside - first))
                    found.update(zip(inside.tolist(), table.to_pylist(), strict=True))
                first += count
        for row in batch.tolist():
            yield found[row]
