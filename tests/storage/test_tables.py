from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.run.parallel import serial
from tasks.run.seeds import generator, integer
from tasks.storage.tables import TableWriter, iterate_rows, read_rows, write_table, write_text

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int32())])


def test_rows_come_back_in_order_and_in_batches(tmp_path: Path) -> None:
    rows = [{"id": str(number), "n": number} for number in range(1500)]
    assert write_table(tmp_path / "t.parquet", rows, SCHEMA) == 1500
    assert read_rows(tmp_path / "t.parquet") == rows
    assert list(iterate_rows(tmp_path / "t.parquet", ["n"], batch=7)) == [{"n": row["n"]} for row in rows]


def test_a_table_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, [{"id": "old", "n": 1}], SCHEMA)
    with pytest.raises(ZeroDivisionError), TableWriter(path, SCHEMA, rows_per_group=1) as writer:
        writer.write({"id": "new", "n": 2})
        raise ZeroDivisionError
    assert read_rows(path) == [{"id": "old", "n": 1}]
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_long_texts_make_small_groups_that_are_read_one_at_a_time(tmp_path: Path) -> None:
    rows = [{"id": str(number) * (1 << 20), "n": number} for number in range(10)] * 3
    write_table(tmp_path / "t.parquet", rows, SCHEMA)
    with pq.ParquetFile(tmp_path / "t.parquet") as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert groups == [8, 8, 8, 6]
    seen = []
    reading = iterate_rows(tmp_path / "t.parquet")
    for row in reading:
        seen.append(row)
        assert len(reading.gi_frame.f_locals["rows"]) <= 8
    assert seen == rows


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    rows = [{"id": "a", "n": None}, {"id": None, "n": 3}]
    for name in ("one", "two"):
        write_table(tmp_path / name, rows, SCHEMA)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_stages_have_random_streams_of_their_own() -> None:
    draws = {name: generator(3, *name).integers(2**31) for name in [("a",), ("b",), ("a", 1), ("a", 2)]}
    assert len(set(draws.values())) == 4
    assert generator(3, "a").integers(2**31) == draws[("a",)]
    assert integer(3, "a") == integer(3, "a") != integer(4, "a")
    assert 0 <= integer(3, "a") < 2**31


def test_the_serial_mapper_keeps_order() -> None:
    assert list(serial(np.square, range(5))) == [0, 1, 4, 9, 16]
