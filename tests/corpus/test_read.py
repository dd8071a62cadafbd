import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from tasks.corpus.read import Fields, check_sources, fingerprint, read_documents
from tasks.corpus.sources import _labels, resolve
from tasks.records import BadInput, Document, Reject


def read(*sources: str | Path, fields: Fields | None = None) -> tuple[list[Document], list[Reject]]:
    rejects: list[Reject] = []
    documents = list(read_documents([str(source) for source in sources], fields or Fields(), rejects.append))
    return documents, rejects


def lines(path: Path, *records: Any) -> Path:
    data = "".join(
        (record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records
    ).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


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


def test_a_record_nested_too_deeply_costs_itself(tmp_path: Path) -> None:
    depths = range(800, 1000)  # around the interpreter's limit reading succeeds where writing fails
    deep = ['{"text": "deep", "more": ' + "[" * depth + "]" * depth + "}" for depth in depths]
    documents, rejects = read(lines(tmp_path / "c.jsonl", *deep, {"text": "last"}))
    assert documents[-1].text == "last"
    assert len(documents) + len(rejects) == len(deep) + 1
    assert {reject.reason for reject in rejects} == {"broken JSON"}


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<ul><li>one<li>two</ul>", "* one\n* two"),
        ("<ol start=9><li>one<li>two\n<p>more</ol>", "9. one\n10. two\n\n    more"),
        ("<table><tr><th>a<th>b<tr><td>c<td>d</table>", "| a | b |\n| --- | --- |\n| c | d |"),
        ("<p>x" * 400, "\n\n".join("x" * 400)),
        ("<p>array<![0]>", "array"),
        ("<pre>\n\n  a\n    b\n\n</pre>", "```\n  a\n    b\n```"),
    ],
)
def test_html_without_its_optional_end_tags_keeps_its_structure(tmp_path: Path, page: str, text: str) -> None:
    (tmp_path / "page.html").write_text(page)
    documents, rejects = read(tmp_path / "page.html")
    assert not rejects
    assert documents[0].text == text


def test_a_page_that_the_parser_refuses_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bs4.exceptions import ParserRejectedMarkup

    def refuse(*given: Any, **named: Any) -> None:
        raise ParserRejectedMarkup("not a page")

    monkeypatch.setattr("bs4.BeautifulSoup", refuse)
    (tmp_path / "page.html").write_text("<p>x")
    documents, (reject,) = read(tmp_path / "page.html")
    assert not documents
    assert (reject.reason, reject.detail) == ("broken HTML", f"{tmp_path}/page.html: not a page")


def test_a_downloaded_data_set_is_read_as_records_beside_its_readme(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "data" / "train-00000.parquet")
    for name in ("README.md", "LICENSE.txt", "dataset_infos.json"):
        (tmp_path / name).write_text("{}")
    documents, rejects = read(tmp_path)
    assert [document.text for document in documents] == ["one", "two"]
    assert [(reject.reason, reject.id.split("/")[1]) for reject in rejects] == [
        ("not read", "LICENSE.txt"),
        ("not read", "README.md"),
        ("not read", "dataset_infos.json"),
    ]
    check_sources([str(tmp_path)], Fields())


def test_a_readme_is_a_document_among_documents(tmp_path: Path) -> None:
    for name in ("README.md", "a.md"):
        (tmp_path / name).write_text(name)
    assert [document.text for document in read(tmp_path)[0]] == ["README.md", "a.md"]


def test_a_dead_link_and_a_pipe_cost_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "c.txt")
    documents, rejects = read(tmp_path)
    assert [document.text for document in documents] == ["fine"]
    assert [(reject.reason, Path(reject.id).name) for reject in rejects] == [
        ("unreadable", "b.txt"),
        ("unreadable", "c.txt"),
    ]
    fingerprint([str(tmp_path)])
    os.mkfifo(tmp_path / "d.jsonl")
    with pytest.raises(BadInput, match="a pipe; give a file"):
        check_sources([str(tmp_path / "d.jsonl")], Fields())


def test_a_folder_that_cannot_be_listed_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lost").mkdir()
    (tmp_path / "a.txt").write_text("fine")
    listed = type(UPath(tmp_path)).iterdir

    def iterdir(folder: UPath) -> Any:
        if folder.name == "lost":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(type(UPath(tmp_path)), "iterdir", iterdir)
    documents, rejects = read(tmp_path)
    assert [document.text for document in documents] == ["fine"]
    assert [(reject.reason, Path(reject.id).name) for reject in rejects] == [("unreadable", "lost")]


def test_runs_inside_a_corpus_are_not_part_of_it(tmp_path: Path) -> None:
    lines(tmp_path / "c.jsonl", {"text": "a document"})
    before = fingerprint([str(tmp_path)])
    run = tmp_path / "runs" / "equal" / "first"
    run.mkdir(parents=True)
    for name in ("settings.yaml", ".lock", "log.txt", "report.html", "costs.jsonl"):
        (run / name).write_text("not a document")
    assert [document.text for document in read(tmp_path)[0]] == ["a document"]
    assert fingerprint([str(tmp_path)]) == before


def test_names_that_are_not_utf_8_can_be_stored_and_told_apart(tmp_path: Path) -> None:
    for name in (b"\xff.txt", b"\xfe.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("fine")
    documents, _ = read(tmp_path)
    assert len({document.id.encode() for document in documents}) == 2
    assert all(document.origin.encode() for document in documents)


def test_a_folder_is_read_in_order_with_html_as_markdown(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "no.md").write_text("hidden")
    (folder / "b.md").write_text("# B\n\ntext")
    (folder / "a.txt").write_text("plain")
    (folder / "deep" / "c.html").write_text(
        "<html><head><title>T</title><style>p{}</style></head><body><h2>Head_line</h2><p>Body</p>"
        "<script>alert(1)</script><pre>x = 1</pre></body></html>"
    )
    (folder / "z.txt").write_bytes(b"\x00\x01binary")
    (folder / "stray.csv").write_text("a,b\n1,2\n")
    documents, rejects = read(folder)
    assert [(d.id, d.source) for d in documents] == [
        ("docs/a.txt", "docs"),
        ("docs/b.md", "docs"),
        ("docs/deep/c.html", "deep"),
    ]
    page = documents[2].text
    assert page.startswith("# T\n\n## Head_line\n")
    assert "x = 1" in page
    assert "alert" not in page
    assert "p{}" not in page
    assert [(reject.reason, reject.id) for reject in rejects] == [
        ("not read", "docs/stray.csv"),
        ("binary", "docs/z.txt"),
    ]


def test_a_folder_of_shards_is_read_as_records(tmp_path: Path) -> None:
    for number in (1, 0):
        lines(tmp_path / f"shard-{number}.jsonl", {"text": f"shard {number}"})
    assert [document.text for document in read(tmp_path)[0]] == ["shard 0", "shard 1"]


def test_files_of_one_name_get_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        lines(tmp_path / name / "c.jsonl", {"text": name})
    documents, _ = read(tmp_path / "x" / "c.jsonl", tmp_path / "y" / "c.jsonl")
    assert [document.id for document in documents] == ["x/c.jsonl:1", "y/c.jsonl:1"]


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput, match=r"memory://\.\.\.@host/x.jsonl: a password in an address") as refused:
        resolve(["memory://me:secret@host/x.jsonl"])
    assert "secret" not in str(refused.value)


def test_ids_do_not_hold_the_signature_of_an_address() -> None:
    found = _labels(["https://host/a/x.jsonl?signature=s", "https://host/b/x.jsonl?signature=t"])
    assert list(found.values()) == ["a/x.jsonl", "b/x.jsonl"]


def test_data_sets_of_one_name_get_labels_of_their_own() -> None:
    sources = resolve(["hf:org/data:en", "hf:org/data:de", "hf:other/data", "hf:one/more", "hf:org/data:en"])
    labels = [source.label for source in sources]
    assert labels == ["data:en", "data:de", "data", "more", "data:en"]
    assert [source.label for source in resolve(["hf:org/data", "hf:other/data"])] == [
        "org/data",
        "other/data",
    ]


def test_a_saved_dataset_and_its_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"text": f"t{n}", "id": f"i{n}"} for n in range(300)])
    rows.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": rows, "dev": rows.select([0])}).save_to_disk(str(tmp_path / "many"))
    assert [document.id for document in read(tmp_path / "one")[0]] == [f"i{n}" for n in range(300)]
    assert len(read(tmp_path / "many", fields=Fields(hf_split="dev"))[0]) == 1
    with pytest.raises(BadInput, match="no split named test; it has train, dev"):
        read(tmp_path / "many", fields=Fields(hf_split="test"))


def test_a_dataset_is_streamed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    (tmp_path / "set").mkdir()
    lines(tmp_path / "set" / "train.jsonl", {"text": "one"}, {"text": "two"})
    documents, _ = read(f"hf:{tmp_path / 'set'}")
    assert [document.text for document in documents] == ["one", "two"]
    with pytest.raises(BadInput, match="hf:"):
        read(f"hf:{tmp_path / 'set'}", fields=Fields(hf_split="nothing"))


def test_paths_may_lie_in_an_object_store() -> None:
    UPath("memory://bucket/c.jsonl").write_text('{"text": "from afar"}\n')
    assert [document.text for document in read("memory://bucket/c.jsonl")[0]] == ["from afar"]


def test_one_clear_line_for_a_source_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.docx").write_text("x")
    lines(tmp_path / "c.jsonl", {"body": "x", "id": "1"})
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "c.parquet")
    for source, message in {
        str(tmp_path / "none.jsonl"): "no such file or folder",
        str(tmp_path / "empty"): "no documents in this folder",
        str(tmp_path / "c.docx"): "unknown kind of file",
        str(tmp_path / "c.jsonl"): "no record has the field text; it has: body, id; set --text-field",
        str(tmp_path / "c.parquet"): "no record has the field text; it has: body",
        "python:no_such_package_here": "not installed",
        "python:json.nothing": "no Python source was found",
        "python:": "name the packages",
        "hf:": "name the data set",
        "zzz://x/c.jsonl": "not available",
    }.items():
        for look in (lambda one: check_sources([one], Fields()), lambda one: read(one)):
            with pytest.raises(BadInput, match=message) as caught:
                look(source)
            assert "\n" not in str(caught.value)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "some text"}\n' * 1000)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "not.jsonl.gz").write_bytes(b"plain")
    (tmp_path / "not.parquet").write_bytes(b"plain" * 10)
    for name in ("cut.jsonl.gz", "not.jsonl.gz", "not.parquet"):
        with pytest.raises(BadInput, match=f"{name}: damaged"):
            read(tmp_path / name)


def test_the_field_of_a_later_record_is_enough(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", {"other": 1}, {"text": "found"})
    documents, rejects = read(path)
    assert [document.text for document in documents] == ["found"]
    assert [reject.reason for reject in rejects] == ["no text field"]


def test_the_fingerprint_changes_with_a_file(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", {"text": "a"})
    sources = [str(path), "python:json", "doctest:json.decoder"]
    before = fingerprint(sources)
    assert fingerprint(sources) == before
    lines(path, {"text": "ab"})
    assert fingerprint(sources) != before


def test_metadata_can_always_be_written_as_json(tmp_path: Path) -> None:
    import datetime

    row = {"text": "t", "when": datetime.date(2020, 1, 2), "image": b"123", "nan": float("nan")}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "c.parquet")
    assert read(tmp_path / "c.parquet")[0][0].metadata == {
        "when": "2020-01-02",
        "image": "3 bytes",
        "nan": None,
    }
