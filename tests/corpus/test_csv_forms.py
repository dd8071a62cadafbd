"""CSV inputs as spreadsheets of any country save them, and comma files that only look like others."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from tasks.corpus.formats import read_records
from tasks.crowd.annotate.items import Items, read_answers
from tasks.crowd.read import check_table, read_table
from tasks.records import BadInput

HEAD = ["task", "worker", "label"]
ROWS = [["1", "Zoë", "a, b"], ["2", "v", 'one; "two"\nthree'], ["3", "", "x"]]


def saved(path: Path, encoding: str, delimiter: str) -> UPath:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([HEAD, *ROWS])
    return UPath(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_input_is_read_however_a_spreadsheet_saves_it(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    path = saved(tmp_path / "t.csv", encoding, delimiter)
    assert [list(record.values()) for _, record in read_records(path)] == ROWS
    check_table(str(path), {"--task": "task"}, "--answers")
    assert len(read_table(str(path), HEAD, "--answers")) == 2


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("text\na; b\n", [["a; b"]]),
        ("id,a;b;c;d\n1,x;y;z;w\n", [["1", "x;y;z;w"]]),
        ("a;b\nx\n", [["x"]]),
        ('"a;b"\nx\n', [["x"]]),
        ("a\tb\n", []),
        ("text\n\nx\ty\n", [["x\ty"]]),
    ],
)
def test_a_comma_file_stays_one(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert [list(record.values()) for _, record in read_records(UPath(tmp_path / "t.csv"))] == rows


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("task,worker\n1,v\n".encode("utf-16-le"), "not UTF-8; save it as “CSV UTF-8”"),
        ("task,worker\n1,v\n".encode("utf-16")[:-1], "damaged UTF-16; save it as “CSV UTF-8”"),
    ],
)
def test_what_is_neither_utf_8_nor_utf_16_is_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(BadInput, match=f"t.csv: {said}"):
        list(read_records(UPath(tmp_path / "t.csv")))


def test_wanted_answers_are_read_from_any_spreadsheet(tmp_path: Path) -> None:
    items = Items(["=1", "2"], ["text"], [("a",), ("b",)], np.array([-1, -1]), np.array([-1, -1]))
    stream = io.StringIO()
    rows = [
        ["task", "worker", "label", "not_by", "text"],
        ["'=1", "Zoë", "x", "v; w", "a"],
        ["2", "", "", "", "b"],
    ]
    csv.writer(stream, delimiter=";").writerows(rows)
    (tmp_path / "wanted.csv").write_bytes(stream.getvalue().encode("utf-16"))
    found = list(read_answers([str(tmp_path / "wanted.csv")], items, ["x", "y"]))
    assert [(one.task, one.worker, one.label) for one in found] == [("=1", "Zoë", "x")]
