"""Row ranges of the corpus table, so that a worker reads its own rows and nothing large travels to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Partition:
    """Rows start..stop of a Parquet table."""

    table: Path
    start: int
    stop: int


def partitions(table: Path, rows: int) -> Iterator[Partition]:
    """Consecutive partitions of `rows` rows; the cut depends on the table alone, never on the number of workers."""
    import pyarrow.parquet as pq

    total = pq.read_metadata(table).num_rows
    for start in range(0, total, rows):
        yield Partition(table, start, min(start + rows, total))


def read_texts(partition: Partition, column: str = "text") -> list[str]:
    """The texts of a partition; reads only the row groups that it touches. A null text is empty."""
    import pyarrow.parquet as pq

    texts: list[str] = []
    with pq.ParquetFile(partition.table) as file:
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            start, stop = max(partition.start, first), min(partition.stop, first + count)
            if start < stop:
                values = file.read_row_group(group, columns=[column])[column]
                texts.extend(text or "" for text in values.slice(start - first, stop - start).to_pylist())
            first += count
    return texts
