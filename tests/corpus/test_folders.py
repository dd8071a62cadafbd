"""Folders: which files are documents, HTML as Markdown, and what cannot be read."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from tasks.corpus.read import Fields, check_sources, fingerprint
from tasks.records import BadInput
from tests.corpus.reading import lines, read


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


def test_a_folder_with_a_state_of_its_own_is_no_data_set(tmp_path: Path) -> None:
    for name in ("state.json", "a.md"):
        (tmp_path / name).write_text("{}")
    documents, rejects = read(tmp_path)
    assert [document.text for document in documents] == ["{}"]
    assert [reject.reason for reject in rejects] == ["not read"]


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


def test_a_folder_that_may_not_be_entered_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost").mkdir()
    (tmp_path / "a.txt").write_text("fine")
    kind = type(UPath(tmp_path))
    listed, exists = kind.iterdir, kind.exists

    def refused(path: UPath) -> None:
        if path.name == "lost":
            raise PermissionError(13, "Permission denied")

    def iterdir(folder: UPath) -> Any:
        refused(folder)
        return listed(folder)

    def exists_in(path: UPath) -> bool:
        refused(path.parent)  # as the system does for whoever asks without the right to
        return exists(path)

    monkeypatch.setattr(kind, "iterdir", iterdir)
    monkeypatch.setattr(kind, "exists", exists_in)
    documents, rejects = read(tmp_path)
    assert [document.text for document in documents] == ["fine"]
    assert [(reject.reason, Path(reject.id).name) for reject in rejects] == [("unreadable", "lost")]
    with pytest.raises(BadInput, match="lost: cannot be read: Permission denied"):
        check_sources([str(tmp_path / "lost")], Fields())


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
