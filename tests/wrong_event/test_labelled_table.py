"""Rows with labels out of files: numbers, arrays, texts, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.classify.table import columns_of, read_labelled
from tasks.records import BadInput


def test_arrays_are_flattened_and_those_of_another_shape_rejected(tmp_path: Path) -> None:
    """Also where the first row is one of them, and where the numbers are as many."""
    image = [[0, 1], [2, 3]]
    rows = [
        {"image": [0, 1, 2, 3], "weight": 4, "kind": "a"},
        {"image": image, "weight": 5, "kind": "a"},
        {"image": image, "weight": "6.5", "kind": 1.0},
        {"image": [[1]], "weight": 1, "kind": "a"},
        {"image": [[0, 1], [2, "x"]], "weight": 1, "kind": "a"},
        {"image": [[0, 1], [2]], "weight": 1, "kind": "a"},
        {"image": [], "weight": 1, "kind": "a"},
        {"image": 7, "weight": 1, "kind": "a"},
    ]
    path = tmp_path / "images.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = columns_of(str(path), "kind", "", [], "--data")
    assert columns.features == ("image", "weight")
    found = read_labelled(str(path), columns, "--data")
    assert found.labels == ["a", "1"]
    assert found.values.tolist() == [[0, 1, 2, 3, 5], [0, 1, 2, 3, 6.5]]
    assert found.rows.tolist() == [1, 2]
    assert [(reject.reason, reject.id, reject.detail) for reject in found.rejected] == [
        ("another shape", f"{path}:1", "image is an array of 4, not an array of 2 x 2"),
        ("another shape", f"{path}:4", "image is an array of 1 x 1, not an array of 2 x 2"),
        ("not a number", f"{path}:5", "image is x"),
        ("not an array", f"{path}:6", "parts of image differ in length"),
        ("not a number", f"{path}:7", "image is (empty)"),
        ("another shape", f"{path}:8", "image is a number, not an array of 2 x 2"),
    ]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"v": [[1.0, 2.0], [3.0, 4.0]], "label": [3, 4]}), path)
    found = read_labelled(str(path), columns_of(str(path), "label", "", ["v"], "--data"), "--data")
    assert found.labels == ["3", "4"]
    assert (found.values == np.array([[1, 2], [3, 4]])).all()


def test_none_may_be_a_class_and_nan_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text,label\nhello,none\nthere,nan\n,x\n")
    found = read_labelled(str(path), columns_of(str(path), "label", "text", [], "--data"), "--data")
    assert found.labels == ["none"]
    assert [reject.reason for reject in found.rejected] == ["no label", "no text"]
    assert found.rows.tolist() == [0]


def test_a_file_of_which_nothing_can_be_used_says_why(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,label\nx,1\ny,2\n3,\n")
    columns = columns_of(str(path), "label", "", [], "--data")
    with pytest.raises(
        BadInput, match=r"--data: no row can be used: 2 of 3 not a number \(first .*rows\.csv:2, a is x"
    ):
        read_labelled(str(path), columns, "--data")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"n/a,x\n", r"not a number, a is n/a"),
        (b"1,\n", r"no label, label is empty"),
        ("1,\xe4\n".encode("latin-1"), r"binary, not UTF-8; save the file as “CSV UTF-8”"),
        (b"1,x,y\n", r"broken CSV, more cells than the 2 of the header"),
    ],
)
def test_rows_that_cannot_be_used_may_be_few(tmp_path: Path, bad: bytes, why: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,label\n" + bad + b"1,x\n1,x\n1,y\n")  # the first row need not be a whole one
    columns = columns_of(str(path), "label", "", [], "--data")
    assert len(read_labelled(str(path), columns, "--data", max_broken=0.25)) == 3
    said = rf"--data: 1 of 4 records cannot be used, first .*rows\.csv:2 \({why}\); mend them, or allow more with --max-broken"
    with pytest.raises(BadInput, match=said):
        read_labelled(str(path), columns, "--data", max_broken=0.2)
