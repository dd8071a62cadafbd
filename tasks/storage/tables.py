"""Tables at rest: every schema once, and writes that are whole or absent.

A file appears under its name only when it is complete: it is written under a temporary name beside it and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

CORPUS = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("tokens", pa.int32()),  # tasks.corpus.tokens.count_tokens(text)
        ("parent", pa.string()),
        ("origin", pa.string()),
        ("metadata", pa.string()),  # JSON
    ]
)

DOCUMENTS = pa.schema(
    [
        *CORPUS,
        ("cluster", pa.int32()),
        ("x", pa.float32()),  # position on the cluster map
        ("y", pa.float32()),
        ("extracted", pa.bool_()),
        ("round", pa.int32()),  # 0 is the warm-up; null if never read
        ("pairs", pa.int32()),  # kept pairs; null if never read
    ]
)

PAIRS = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("extractor", pa.string()),
        ("rule", pa.string()),
        ("prompt_hash", pa.string()),
        ("source", pa.string()),
        ("cluster", pa.int32()),
        ("round", pa.int32()),
        ("pull", pa.int32()),  # which pull of the run bought it: row of arms.parquet
        ("similarity", pa.float32()),  # cosine to the nearest reference example, in the space of the reward
        ("arm_reward", pa.float32()),  # of its arm after that pull
        ("decision", pa.string()),
        ("reason", pa.string()),
        ("p_good", pa.float32()),  # that judges find it answerable, correct and useful; null without judges
    ]
)

REJECTED = pa.schema(
    [("stage", pa.string()), ("reason", pa.string()), ("id", pa.string()), ("detail", pa.string())]
)

READS = pa.schema(
    [
        ("row", pa.int64()),  # of the corpus table
        ("document_id", pa.string()),
        ("tokens", pa.int32()),
        ("pairs", pa.int32()),  # kept
        ("cached", pa.bool_()),  # an earlier run had paid for it
        ("cost", pa.float64()),  # dollars, whoever paid
    ]
)

ARMS = pa.schema(
    [
        ("pull", pa.int32()),
        ("round", pa.int32()),  # 0 is the warm-up
        ("arm", pa.int32()),
        ("terms", pa.string()),
        ("size", pa.int32()),  # documents of the cluster
        ("remaining", pa.int32()),  # not yet read, after this pull
        ("pulls", pa.int32()),  # of this arm, after this pull
        ("documents", pa.int32()),  # read in this pull
        ("tokens", pa.int64()),
        ("cost", pa.float64()),
        ("pairs", pa.int32()),  # of this pull that passed the filter
        ("arm_pairs", pa.int32()),  # of the arm so far
        ("reward", pa.float64()),  # of the arm after this pull, larger is better
        ("exploit", pa.float64()),  # the two terms of the score it was chosen by
        ("bonus", pa.float64()),
    ]
)


_CHARACTERS_PER_GROUP = 1 << 23


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it when the block ends, removed when it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends, and goes when it raises.

    A folder that stood at `path` is moved aside first and removed last, so no moment leaves a mixture of both.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """What `write_json` wrote, whatever the locale."""
    return json.loads(path.read_text(encoding="utf-8"))


class TableWriter:
    """Rows into a Parquet file in groups, so that memory does not grow with the table; whole or absent.

    Use as a context manager. What is held in memory is at most `rows_per_group` rows, and fewer where their texts are
    long.
    """

    def __init__(self, path: Path, schema: pa.Schema, rows_per_group: int = 512) -> None:
        self.path, self.schema, self.rows_per_group = path, schema, rows_per_group
        self.rows = 0
        self._held: list[Mapping[str, Any]] = []
        self._characters = 0

    def __enter__(self) -> TableWriter:
        self._atomic = atomic_path(self.path)
        self._writer = pq.ParquetWriter(self._atomic.__enter__(), self.schema, compression="zstd")
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        self._held.append(row)
        self.rows += 1
        self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._held) >= self.rows_per_group or self._characters >= _CHARACTERS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_pylist(list(self._held), schema=self.schema))
            self._held.clear()
            self._characters = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()
        self._atomic.__exit__(kind, error, trace)


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write rows as Parquet, whole or absent. Returns the number of rows."""
    with TableWriter(path, schema) as writer:
        for row in rows:
            writer.write(row)
    return writer.rows


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    return rows


def iterate_rows(
    path: Path, columns: Sequence[str] | None = None, batch: int = 1024
) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file, at most `batch` of one row group at a time in memory."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            # A batch over several groups would undo the bound on the characters of a group.
            for rows in file.iter_batches(batch_size=batch, columns=columns, row_groups=[group]):
                yield from rows.to_pylist()


def read_column(path: Path, name: str) -> Any:
    """A column as a NumPy array."""
    return pq.read_table(path, columns=[name])[name].to_numpy()
