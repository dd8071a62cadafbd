"""Records: JSON, CSV and Parquet into documents, and what a broken one costs."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.corpus.read import Fields, check_sources
from tasks.corpus.target import read_target
from tasks.records import BadInput, Document
from tests.corpus.reading import lines, read

RECORDS = [{"id": "a", "text": "first", "source": "s", "n": 1}, {"text": 'second, with "quotes"\nand lines'}]


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.ndjson", "c.json", "c.json.gz"])
def test_json_lines_keep_id_source_metadata_and_origin(tmp_path: Path, name: str) -> None:
    path = lines(tmp_path / name, *RECORDS)
    documents, rejects = read(path)
    assert documents == [
        Document("a", "first", "s", {"n": 1}, f"{path}:1"),
        Document(f"{name}:2", 'second, with "quotes"\nand lines', None, {}, f"{path}:2"),
    ]
    assert not rejects


def test_a_json_array_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(RECORDS))
    assert [document.text for document in read(tmp_path / "c.json")[0]] == [
        record["text"] for record in RECORDS
    ]


def test_parquet_and_csv_give_the_same_documents(tmp_path: Path) -> None:
    table = [{"id": f"d{n}", "text": f'text "{n}",\nnext line', "source": "s"} for n in range(600)]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "c.parquet")
    header = "id,text,source\n"
    rows = "".join(f'd{n},"text ""{n}"",\nnext line",s\n' for n in range(600))
    with gzip.open(tmp_path / "c.csv.gz", "wt", encoding="utf-8-sig") as file:
        file.write(header + rows)
    keys = [
        [(d.id, d.text, d.source) for d in read(tmp_path / name)[0]] for name in ("c.parquet", "c.csv.gz")
    ]
    assert keys[0] == keys[1] == [(row["id"], row["text"], row["source"]) for row in table]


def test_a_broken_record_costs_itself_and_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    good = b'{"text": "fine"}\n'
    path.write_bytes(
        good
        + b'{"text": "cut off\n'
        + b"[1, 2]\n\n"
        + b'{"body": "x"}\n{"text": 5}\n{"text": "  "}\n'
        + b'{"text": "a\\u0000b"}\n{"text": "\xff\xfe"}\n'
        + json.dumps({"text": "\x01\x02\x03 x"}).encode()
        + b"\n"
        + b"[" * 100_000
        + b"\n"
        + good
    )
    documents, rejects = read(path)
    assert [document.id for document in documents] == ["c.jsonl:1", "c.jsonl:12"]
    assert [(reject.reason, reject.id.split(":")[1]) for reject in rejects] == [
        ("broken JSON", "2"),
        ("not an object", "3"),
        ("no text field", "5"),
        ("no text field", "6"),
        ("empty text", "7"),
        ("binary", "8"),
        ("binary", "9"),
        ("binary", "10"),
        ("broken JSON", "11"),
    ]
    assert rejects[0].detail.startswith(f"{path}:2: ")
    assert all(reject.stage == "read" for reject in rejects)


def test_a_csv_row_with_bad_bytes_or_too_many_cells_costs_itself(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(b"id,text\n1,fine\n2,\xff\xff\n3,a,b,c\n4,last\n")
    documents, rejects = read(tmp_path / "c.csv")
    assert [document.id for document in documents] == ["1", "4"]
    assert [reject.reason for reject in rejects] == ["binary", "broken CSV"]


def test_a_stray_quote_in_a_csv_row_costs_that_row(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('id,text\n1,fine\n\n2,"so" said he\n3,"two\nlines"\n')
    documents, rejects = read(tmp_path / "c.csv")
    assert [document.text for document in documents] == ["fine", "two\nlines"]
    assert [(reject.reason, reject.id) for reject in rejects] == [("broken CSV", "c.csv:4")]


@pytest.mark.parametrize("end", ["", '99,he said "so"\n'])
def test_a_quote_that_swallows_rows_is_named_by_the_line_at_which_it_opens(tmp_path: Path, end: str) -> None:
    rows = "".join(f"{n},text {n}\n" for n in range(20))
    (tmp_path / "c.csv").write_text(f'id,text\n{rows}20,"never closed\n{rows}{end}')
    with pytest.raises(BadInput, match=r"c\.csv:22: broken CSV"):
        read(tmp_path / "c.csv")


def test_a_parquet_value_that_python_cannot_hold_costs_its_row(tmp_path: Path) -> None:
    days = pa.array([1, 2**31 - 1, 2], pa.int32()).cast(pa.date32())
    raw = pa.StringArray.from_buffers(
        3,
        pa.py_buffer(b"\x00\x00\x00\x00\x03\x00\x00\x00\x06\x00\x00\x00\x08\x00\x00\x00"),
        pa.py_buffer(b"onetwo\xff\xff"),
    )
    pq.write_table(pa.table({"text": raw, "when": days}), tmp_path / "c.parquet")
    documents, rejects = read(tmp_path / "c.parquet")
    assert [document.text for document in documents] == ["one"]
    assert [(reject.reason, reject.id) for reject in rejects] == [
        ("broken value", "c.parquet:2"),
        ("broken value", "c.parquet:3"),
    ]


def test_a_time_zone_that_is_none_costs_its_rows(tmp_path: Path) -> None:
    when = pa.array([1, None], pa.timestamp("ns", tz="Europe/Nowhere"))
    pq.write_table(pa.table({"text": ["one", "two"], "when": when}), tmp_path / "c.parquet")
    documents, rejects = read(tmp_path / "c.parquet")
    assert [document.text for document in documents] == ["two"]
    assert [(reject.reason, reject.id) for reject in rejects] == [("broken value", "c.parquet:1")]


def test_a_record_nested_too_deeply_costs_itself(tmp_path: Path) -> None:
    depths = range(800, 1000)  # around the interpreter's limit reading succeeds where writing fails
    deep = ['{"text": "deep", "more": ' + "[" * depth + "]" * depth + "}" for depth in depths]
    documents, rejects = read(lines(tmp_path / "c.jsonl", *deep, {"text": "last"}))
    assert documents[-1].text == "last"
    assert len(documents) + len(rejects) == len(deep) + 1
    assert {reject.reason for reject in rejects} == {"broken JSON"}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "some text"}\n' * 1000)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "not.jsonl.gz").write_bytes(b"plain")
    (tmp_path / "not.parquet").write_bytes(b"plain" * 10)
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "whole.parquet", store_schema=False)
    table = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "name.parquet").write_bytes(table.replace(b"text", b"te\xfft"))
    (tmp_path / "end.parquet").write_bytes(table[:-40] + b"\xff" * 32 + table[-8:])
    for name in ("cut.jsonl.gz", "not.jsonl.gz", "not.parquet", "name.parquet", "end.parquet"):
        with pytest.raises(BadInput, match=f"{name}: (damaged|cannot be read)") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)
    for name in ("not.parquet", "name.parquet", "end.parquet"):
        with pytest.raises(BadInput, match=f"{name}: (damaged|cannot be read)"):
            check_sources([str(tmp_path / name)], Fields())


def test_a_table_is_split_at_tabs_by_the_end_of_its_name(tmp_path: Path) -> None:
    for name in ("c.tsv", "c.tsv.csv"):
        (tmp_path / name).write_text(
            "id\ttext\n1\tone\n".replace("\t", "," if name.endswith("csv") else "\t")
        )
        assert [document.text for document in read(tmp_path / name)[0]] == ["one"]


def test_the_field_of_a_later_record_is_enough(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", *[{"other": 1}] * 30, {"text": "found"})
    check_sources([str(path)], Fields())
    documents, rejects = read(path)
    assert [document.text for document in documents] == ["found"]
    assert [reject.reason for reject in rejects] == ["no text field"] * 30


def test_names_of_fields_in_a_message_are_few_and_on_one_line(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", *({f"two\nlines\x1b[31m {n}": 1} for n in range(30)))
    for look in (read, lambda one: check_sources([str(one)], Fields()), lambda one: read_target(str(one))):
        with pytest.raises(
            BadInput, match=r"it has: two\\nlines\\x1b\[31m 0, .* 19 and 10 more; set --"
        ) as caught:
            look(path)
        assert "\n" not in str(caught.value)


def test_metadata_can_always_be_written_as_json(tmp_path: Path) -> None:
    import datetime

    row = {"text": "t", "when": datetime.date(2020, 1, 2), "image": b"123", "nan": float("nan")}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "c.parquet")
    assert read(tmp_path / "c.parquet")[0][0].metadata == {
        "when": "2020-01-02",
        "image": "3 bytes",
        "nan": None,
    }
