import errno
import json
import re
from pathlib import Path

import numpy as np
import pytest
from example_run import write_run

from tasks.loop.outcome.export import export_pairs
from tasks.loop.outcome.gates import check_export, check_pairs
from tasks.prepare.gates import check_documents, check_vectors
from tasks.records import Stopped
from tasks.run.expectations import GateFailed
from tasks.storage.tables import DOCUMENTS, PAIRS, read_rows, write_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("runs") / "spring", documents=80, clusters=4, rounds=3)
    export_pairs(run / "pairs.parquet", run / "export", name="spring", settings={}, summary={})
    return run


def altered(run, tmp_path, table, schema, change):
    """A copy of a table with its third row changed."""
    rows = read_rows(run / table)
    change(rows)
    write_table(tmp_path / table, rows, schema)
    return tmp_path / table


def failure(check, *arguments):
    with pytest.raises(GateFailed) as caught:
        check(*arguments)
    assert isinstance(caught.value, Stopped)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_sound_run_passes_every_gate_and_leaves_data_docs(run):
    pages = run / "expectations"
    check_documents(run / "documents.parquet", pages)
    check_vectors(run / "vectors.npy", run / "documents.parquet", pages)
    check_pairs(run / "pairs.parquet", run / "documents.parquet", pages)
    check_export(run / "export", run / "pairs.parquet", pages)
    index = (pages / "docs" / "index.html").read_text()
    assert all(f"expectations/{gate}.html" in index for gate in ("documents", "vectors", "pairs", "export"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[2].update(id=rows[1]["id"]), r"be unique \(column id\); 2 of 80 rows fail"),
        (lambda rows: rows[2].update(text=" \n"), r"characters.*; 1 of 80 rows fail"),
        (lambda rows: rows.clear(), r"table row count.*found 0"),
    ],
)
def test_documents_gate_names_the_rows(run, tmp_path, change, said):
    name = read_rows(run / "documents.parquet", ["id"])[2]["id"]
    message = failure(
        check_documents, altered(run, tmp_path, "documents.parquet", DOCUMENTS, change), tmp_path / "e"
    )
    assert message.startswith("gate 'documents' failed")
    assert re.search(said, message)
    assert name in message or "unique" in message or "found 0" in message
    assert str(tmp_path / "e" / "docs" / "index.html") in message
    assert (tmp_path / "e" / "docs" / "index.html").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda matrix: np.where(np.arange(80)[:, None] == 2, np.nan, matrix), "column finite"),
        (lambda matrix: np.where(np.arange(80)[:, None] == 2, matrix * 1.01, matrix), "column norm"),
        (lambda matrix: matrix[:-1], r"value 80\); found 79"),
    ],
)
def test_vectors_gate_names_the_document(run, tmp_path, change, said):
    np.save(tmp_path / "vectors.npy", change(np.load(run / "vectors.npy")))
    message = failure(check_vectors, tmp_path / "vectors.npy", run / "documents.parquet", tmp_path / "e")
    assert re.search(said, message)
    if "column" in said:
        assert f"1 of 80 rows fail: '{read_rows(run / 'documents.parquet', ['id'])[2]['id']}'" in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"answer": " "}, "answer_characters"),
        ({"end": 10**6}, "column_B end"),
        ({"start": 50, "end": 50}, "column_A end, column_B start"),
        ({"document_id": "nowhere"}, "document_exists"),
        ({"cluster": None}, "column cluster"),
        ({"decision": "perhaps"}, "column decision"),
    ],
)
def test_pairs_gate_names_the_pair(run, tmp_path, values, said):
    pairs = altered(run, tmp_path, "pairs.parquet", PAIRS, lambda rows: rows[2].update(values))
    message = failure(check_pairs, pairs, run / "documents.parquet", tmp_path / "e")
    assert said in message
    assert f"1 of {len(read_rows(pairs))} rows fail: '{read_rows(pairs)[2]['id']}'" in message


def test_message_says_that_more_than_the_first_expectation_failed(run, tmp_path):
    pairs = altered(
        run, tmp_path, "pairs.parquet", PAIRS, lambda rows: rows[2].update(question="", round=None)
    )
    message = failure(check_pairs, pairs, run / "documents.parquet", tmp_path / "e")
    assert "question_characters" in message
    assert "(1 more failed)" in message


def test_no_pairs_at_all_pass(run, tmp_path):
    check_pairs(
        altered(run, tmp_path, "pairs.parquet", PAIRS, list.clear), run / "documents.parquet", tmp_path / "e"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines.pop(), "table row count"),
        (lambda lines: lines.__setitem__(1, lines[0]), "column id"),
        (lambda lines: lines.__setitem__(0, {**lines[0], "id": "stranger"}), "pair_kept"),
        (lambda lines: lines[0]["messages"].reverse(), "column roles"),
        (lambda lines: lines[0]["messages"][1].update(content=""), "answer_characters"),
    ],
)
def test_export_gate_wants_every_kept_pair_once_in_every_format(run, tmp_path, change, said):
    export_pairs(run / "pairs.parquet", tmp_path, name="x", settings={}, summary={})
    path = tmp_path / "messages.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert said in failure(check_export, tmp_path, run / "pairs.parquet", tmp_path / "e")


def test_data_docs_show_ids_of_strangers_as_text(run, tmp_path):
    hostile = "<script>alert('x')</script>"
    rows = [{"id": hostile, "text": hostile, "tokens": tokens} for tokens in (0, 5)]
    write_table(tmp_path / "documents.parquet", rows, DOCUMENTS)
    message = failure(check_documents, tmp_path / "documents.parquet", tmp_path / "e")
    assert hostile in message.replace('"', "'").replace("\\'", "'")
    shown = [path.read_text() for path in (tmp_path / "e" / "docs").rglob("*.html")]
    assert any("&lt;script&gt;alert" in page for page in shown)
    assert not any("<script>alert" in page for page in shown)


def test_a_gate_that_is_cut_short_leaves_the_pages_as_they_were(run, tmp_path, monkeypatch):
    from great_expectations.data_context.store.tuple_store_backend import TupleFilesystemStoreBackend

    pages = tmp_path / "expectations"
    check_documents(run / "documents.parquet", pages)
    before = {path: path.read_bytes() for path in pages.rglob("*") if path.is_file()}

    def torn(self, key, value, **options):
        path = Path(self.full_base_directory, self._convert_key_to_filepath(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(TupleFilesystemStoreBackend, "_set", torn)
        with pytest.raises(OSError, match="No space left"):
            check_vectors(run / "vectors.npy", run / "documents.parquet", pages)
    assert {path: path.read_bytes() for path in pages.rglob("*") if path.is_file()} == before
    check_vectors(run / "vectors.npy", run / "documents.parquet", pages)
    index = (pages / "docs" / "index.html").read_text()
    assert all(f"expectations/{gate}.html" in index for gate in ("documents", "vectors"))
    assert [path.name for path in tmp_path.iterdir()] == ["expectations"]
