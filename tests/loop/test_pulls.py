"""Reading the documents of a round: their order, what is in memory, and who pays."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tasks.prepare.documents
from tasks.loop import pulls
from tasks.prepare.documents import CORPUS, read_documents
from tasks.storage.tables import CORPUS as SCHEMA
from tasks.storage.tables import TableWriter


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A corpus of 40 documents of 10 tokens each, in row groups of 8."""
    (tmp_path / "stages").mkdir()
    with TableWriter(tmp_path / CORPUS, SCHEMA, rows_per_group=8) as writer:
        for number in range(40):
            writer.write({"id": f"d{number}", "text": f"text {number}", "source": None, "tokens": 10})
    return tmp_path


ROWS = [39, 0, 17, 17, 3, 38, 1, 20, 5]


@pytest.mark.parametrize("held", [1, 10, 35, 1000])
def test_documents_come_in_the_order_asked_for(run: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(tasks.prepare.documents, "HELD_TOKENS", held)
    assert [document["text"] for document in read_documents(run, ROWS)] == [f"text {row}" for row in ROWS]
    assert list(read_documents(run, [])) == []


def test_documents_are_read_as_they_are_needed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    read = pq.ParquetFile.read_row_group

    def counted(file: Any, group: int, **named: Any) -> Any:
        if "text" in named["columns"]:
            groups.append(group)
        return read(file, group, **named)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    monkeypatch.setattr(tasks.prepare.documents, "HELD_TOKENS", 80)
    documents = read_documents(run, range(40))
    list(islice(documents, 7))
    assert groups == [0]
    list(documents)
    assert set(groups) == {0, 1, 2, 3, 4}


def test_a_run_pays_under_an_id_of_its_folder_and_not_of_its_name(tmp_path: Path) -> None:
    run = tmp_path / "first"
    run.mkdir()
    payer = pulls.payer_of(run)
    assert pulls.payer_of(run) == payer
    (run / ".payer").unlink()  # the folder is removed, and one of the same name made
    assert pulls.payer_of(run) != payer
