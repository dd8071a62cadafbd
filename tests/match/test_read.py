"""Tables and pairs from files: what counts as missing, and one clear line for what cannot be used."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.match.read import Pairs, read_pairs, read_table, shared_attributes
from tasks.records import BadInput
from tests.match.conftest import table

Written = Callable[[str, str], str]

LEFT, RIGHT = table("l", title=["a", "b", "c"]), table("r", title=["a", "b"])


def test_a_byte_order_mark_is_no_part_of_the_id_column(written: Written) -> None:
    found = read_table(written("t.csv", "\ufeffid,name\n7,Ann\n"))
    assert (found.ids, found.columns) == (["7"], {"name": ["Ann"]})


def test_empty_and_nan_like_cells_are_missing_and_words_that_look_alike_are_not(written: Written) -> None:
    cells = ["", "  ", "NaN", "null", "N/A", "None", "-", "na", "nano", "0"]
    found = read_table(written("t.csv", "id,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells))))
    assert found.columns["x"] == [""] * 7 + ["na", "nano", "0"]


def test_all_kinds_of_files_give_the_same_table(written: Written, tmp_path: Path) -> None:
    csv = written("t.csv", 'id,name,year\n1,"Zoë, ""Z""",1999\n2,,\n')
    expected = (["1", "2"], {"name": ['Zoë, "Z"', ""], "year": ["1999", ""]})
    lines = written("t.jsonl", '{"id": 1, "name": "Zoë, \\"Z\\"", "year": 1999.0}\n{"id": 2, "name": null}\n')
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(Path(csv).read_bytes()))
    parquet = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"id": [1, 2], "name": ['Zoë, "Z"', None], "year": [1999.0, float("nan")]}), parquet
    )
    for name in (csv, lines, str(packed), str(parquet)):
        found = read_table(name)
        assert (found.ids, found.columns) == expected, name


def test_a_column_that_begins_late_is_missing_before(written: Written) -> None:
    found = read_table(written("t.jsonl", '{"id": 1}\n{"id": 2, "x": "a\\n b"}\n{"id": 3}\n'))
    assert found.columns == {"x": ["", "a b", ""]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "key,name\n1,a\n",
            "t.csv:2: no column id; it has: key, name; name the column of the ids by --id-column",
        ),
        ("id,name\n1,a\n1,b\n", "t.csv:3: the id 1 stands in line 2 too; make ids unique"),
        ("id,name\n,a\n", "t.csv:2: the id is empty; give every record one"),
        ("id,name\n", "t.csv: no rows; give a table with at least one record"),
        ("id,name\n1,a,b\n", "t.csv:2: broken CSV: more cells than the 2 of the header; mend this line"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(written: Written, text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_table(written("t.csv", text))
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_table(str(tmp_path / "none.csv"))
    with pytest.raises(BadInput, match="a folder"):
        read_table(str(tmp_path))


def as_lists(found: Pairs) -> tuple[list[int], list[int], list[int] | None]:
    labels = None if found.labels is None else found.labels.tolist()
    return found.left.tolist(), found.right.tolist(), labels


def test_pairs_are_rows_of_their_tables(written: Written) -> None:
    found = read_pairs(written("p.csv", "ltable_id,rtable_id,label\nl2,r0,1\nl0,r1,0\n"), LEFT, RIGHT)
    assert as_lists(found) == ([2, 0], [0, 1], [1, 0])
    plain = read_pairs(written("q.csv", "ltable_id,rtable_id\nl2,r0\n"), LEFT, RIGHT)
    assert as_lists(plain) == ([2], [0], None)


def test_pairs_of_one_table_have_no_order(written: Written) -> None:
    found = read_pairs(written("p.csv", "ltable_id,rtable_id\nl2,l0\nl0,l1\n"), LEFT)
    assert as_lists(found) == ([0, 0], [2, 1], None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ltable_id,rtable_id\nl9,r0\n", "p.csv:2: the ltable_id l9 is no id of l; give the table it is of"),
        (
            "ltable_id,rtable_id\nl0,\n",
            "p.csv:2: the rtable_id (empty) is no id of r; give the table it is of",
        ),
        (
            "ltable_id,rtable_id,label\nl0,r0,2\n",
            "p.csv:2: the label is 2; give 1 for a match and 0 for none",
        ),
        (
            "ltable_id,rtable_id\nl0,r0\n",
            "p.csv:2: the label is (empty); give 1 for a match and 0 for none",
        ),
        (
            "ltable_id,label\nl0,1\n",
            "p.csv:2: no column rtable_id; it has: ltable_id, label; give ltable_id and rtable_id",
        ),
        ("ltable_id,rtable_id,label\n", "p.csv: no rows; give at least one pair"),
    ],
)
def test_a_file_of_pairs_that_cannot_be_used_is_one_line(written: Written, text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_pairs(written("p.csv", text), LEFT, RIGHT, labelled=True)
    assert str(caught.value).endswith(message)


def test_a_record_is_not_paired_with_itself(written: Written) -> None:
    with pytest.raises(BadInput, match=r"p\.csv:2: l1 is paired with itself"):
        read_pairs(written("p.csv", "ltable_id,rtable_id\nl1,l1\n"), LEFT)


def test_a_pair_given_twice_keeps_its_label_or_is_refused(written: Written) -> None:
    same = read_pairs(written("p.csv", "ltable_id,rtable_id,label\nl0,l1,1\nl1,l0,1\n"), LEFT)
    assert as_lists(same) == ([0, 0], [1, 1], [1, 1])
    with pytest.raises(
        BadInput, match=r"p\.csv:3: the label is 0, but 1 for the same pair in line 2; keep one"
    ):
        read_pairs(written("p.csv", "ltable_id,rtable_id,label\nl0,l1,1\nl1,l0,0\n"), LEFT)


def test_labels_of_some_pairs_only_are_refused(written: Written) -> None:
    text = '{"ltable_id": "l0", "rtable_id": "r0", "label": 1}\n{"ltable_id": "l1", "rtable_id": "r1"}\n'
    with pytest.raises(BadInput, match="1 of 2 pairs have a label"):
        read_pairs(written("p.jsonl", text), LEFT, RIGHT)


def test_the_attributes_are_those_of_both_tables_unless_chosen() -> None:
    left, right = table("l", a=["1"], b=["2"], c=["3"]), table("r", c=["3"], a=["1"])
    assert shared_attributes(left, right) == ["a", "c"]
    assert shared_attributes(left, right, ["c"]) == ["c"]
    with pytest.raises(BadInput, match="no attribute b in both; they share: a, c"):
        shared_attributes(left, right, ["b"])
    with pytest.raises(BadInput, match="no attribute in common"):
        shared_attributes(left, table("r", z=["1"]))
