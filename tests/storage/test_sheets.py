"""Files that people fill in: as spreadsheets save them, and what is no such file in one line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.records import BadInput
from tasks.storage.sheets import as_text, csv_of, from_text, read_sheet, read_verdicts, write_csv

ROWS = [["d#0", "1", "crème brûlée"], ["d#1", "", 'a "quoted", long\nanswer']]
HEAD = ["id", "good", "answer"]


def saved(path: Path, encoding: str, delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([HEAD, *ROWS])
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_however_a_spreadsheet_saves_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = saved(tmp_path / "disputed.csv", encoding, delimiter)
    lines = read_sheet(path, ["id", "good"], "--resume r")
    assert [number for number, _ in lines] == [2, 4]
    assert [list(row.values()) for _, row in lines] == ROWS


def test_an_answer_may_be_long(tmp_path: Path) -> None:
    write_csv(tmp_path / "f.csv", HEAD, [["d", "", "x" * 200_000]])
    assert len(read_sheet(tmp_path / "f.csv", HEAD, "")[0][1]["answer"]) == 200_000


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("id,good,answer\nd,1,Café\n".encode("cp1252"), r"f\.csv: not UTF-8; save it as “CSV UTF-8”"),
        (b"id;answer\nd;Cafe\n", r"f\.csv: no column good; put it back, or remove the file and --resume r"),
        (b"", r"f\.csv: no column good, id; put"),
        (
            b'id,good\nd,"' + b"x" * (1 << 24) + b'y"\n',
            r"f\.csv:\d: broken CSV: field larger .*; mend the quotes",
        ),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "f.csv").write_bytes(data)
    with pytest.raises(BadInput, match=said) as caught:
        read_sheet(tmp_path / "f.csv", ["id", "good"], "--resume r")
    assert "\n" not in str(caught.value)


def test_a_cell_that_looks_like_a_formula_is_a_text_and_others_stay() -> None:
    assert [as_text(cell) for cell in ("=1+1", "+1", "-1", "@a", "\tb", "", "a=b")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@a",
        "'\tb",
        "",
        "a=b",
    ]


@example("'=1")
@example("''-1")
@example("'80s music")
@given(st.text(st.sampled_from("'=+-@\t\ra ")) | st.text())
def test_what_was_made_a_text_comes_back_as_it_was(value: str) -> None:
    assert from_text(as_text(value)) == value
    assert not as_text(value).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_only_the_apostrophe_before_a_formula_is_taken_off() -> None:
    assert [from_text(cell) for cell in ("'=1", "'80s", "''80s", "''-1", "'", "", "-1")] == [
        "=1",
        "'80s",
        "''80s",
        "'-1",
        "'",
        "",
        "-1",
    ]


def test_a_csv_file_has_a_heading_and_quotes_what_needs_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["a", "b"], [["x,y", 1], ["", None]])
    assert (tmp_path / "a.csv").read_text() == 'a,b\n"x,y",1\n,\n'


@given(st.lists(st.lists(st.text(alphabet='\r\n",;a '), min_size=2, max_size=2)))
def test_every_cell_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    text = csv_of(["a", "b"], rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a", "b"], *rows]


def test_what_a_person_writes_wrongly_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "disputed.csv"
    path.write_text("\ufeffid,good\na,1\nb,\nc,No\n", encoding="utf-8")
    assert read_verdicts(path, ["id"], "good", "--resume r") == {("a",): True, ("c",): False}
    path.write_text("id,good\na,perhaps\n")
    with pytest.raises(BadInput, match=r"disputed\.csv:2: good is perhaps"):
        read_verdicts(path, ["id"], "good", "--resume r")
    path.write_text("id\na\n")
    with pytest.raises(BadInput, match="no column good"):
        read_verdicts(path, ["id"], "good", "--resume r")
    path.write_text("id,good\na,1\na,0\n")
    with pytest.raises(BadInput, match=r"disputed\.csv:3: the same was asked before, and answered otherwise"):
        read_verdicts(path, ["id"], "good", "--resume r")
