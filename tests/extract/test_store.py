"""The store: what is extracted once is never extracted again, whoever asks, and however a process ends."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any, ClassVar

import pytest

from tasks.extract import batch, store
from tasks.extract.batch import ExtractionJob, extract_batch, extract_documents
from tasks.extract.extractor import Extraction, make_extractor, work_key
from tasks.extract.store import ExtractionStore
from tasks.records import BadInput, Document, Reject, Stopped

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Q: What is number {}?\nA: It is {}.\n\nProblem: What is {} + 1?"


def documents(count: int) -> list[tuple[str, str]]:
    return [(f"d{n}", TEXT.format(n, n, n)) for n in range(count)]


def run(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, cwd=ROOT)


def test_second_run_takes_everything_from_the_store(tmp_path: Path) -> None:
    job = ExtractionJob("rules", str(tmp_path / "s.sqlite"), documents(5), payer="first")
    first, second = extract_batch(job), extract_batch(replace(job, payer="second"))
    assert [done.cached for done in first] == [False] * 5
    assert [done.cached for done in second] == [True] * 5
    assert [(d.id, d.pairs, d.rejects) for d in first] == [(d.id, d.pairs, d.rejects) for d in second]
    assert first[3].pairs[0].id == "d3#0"
    assert first[3].rejects[0].id == "d3"
    assert set(ExtractionStore(job.store).calls().values()) == {1}


def test_a_run_that_asks_again_has_still_paid_itself(tmp_path: Path) -> None:
    job = ExtractionJob("rules", str(tmp_path / "s.sqlite"), documents(5), payer="first")
    extract_batch(replace(job, documents=documents(3)))
    assert [done.cached for done in extract_batch(job)] == [False] * 5
    assert set(ExtractionStore(job.store).calls().values()) == {1}
    assert [done.cached for done in extract_batch(replace(job, payer="second"))] == [True] * 5


def test_same_text_under_another_id_is_the_same_work(tmp_path: Path) -> None:
    text = documents(1)[0][1]
    one, other = extract_batch(
        ExtractionJob("rules", str(tmp_path / "s.sqlite"), [("one", text), ("other", text)])
    )
    assert (one.cached, other.cached) == (False, True)
    assert [pair.id for pair in other.pairs] == ["other#0"]
    assert other.pairs[0].document_id == other.rejects[0].id == "other"
    assert len(ExtractionStore(tmp_path / "s.sqlite").calls()) == 1


def test_other_settings_are_other_work(tmp_path: Path) -> None:
    store = str(tmp_path / "s.sqlite")
    extract_batch(ExtractionJob("rules", store, documents(1)))
    (again,) = extract_batch(ExtractionJob("rules", store, documents(1), {"max_answer_characters": 3}))
    assert not again.cached
    assert {reject.reason for reject in again.rejects} == {"answer too long", "no answer"}


def test_work_done_twice_is_counted_and_its_first_result_stays(tmp_path: Path) -> None:
    store = ExtractionStore(tmp_path / "s.sqlite")
    store.put("key", Extraction([], [Reject("extract", "first", "")]), "x/1")
    store.put("key", Extraction([], [Reject("extract", "second", "")]), "x/1")
    assert store.calls() == {"key": 2}
    assert store.get_many(["key"])["key"].rejects[0].reason == "first"


def test_many_keys_and_unknown_ones(tmp_path: Path) -> None:
    store = ExtractionStore(tmp_path / "s.sqlite")
    for n in range(1200):
        store.put(f"k{n}", Extraction([], []), "x/1")
    found = store.get_many([f"k{n}" for n in range(1300)])
    assert set(found) == {f"k{n}" for n in range(1200)}


def test_text_that_utf8_cannot_hold_is_stored(tmp_path: Path) -> None:
    job = ExtractionJob(
        "rules", str(tmp_path / "s.sqlite"), [("d", "Q: What is \ud800?\nA: A \x00 surrogate.")]
    )
    assert extract_batch(job)[0].pairs == extract_batch(job)[0].pairs != []


class _Fails:
    name = "fails/1"
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, error: Exception) -> None:
        self.error = error

    def extract(self, document: Document) -> Extraction:
        if document.id == "d1":
            raise self.error
        return make_extractor("rules").extract(document)


def test_a_failure_costs_its_document_and_is_never_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "make_extractor", lambda spec: _Fails(ZeroDivisionError("by\nzero")))
    store = str(tmp_path / "s.sqlite")
    good, failed, last = extract_batch(ExtractionJob("fails", store, documents(3)))
    assert failed.rejects == [Reject("extract", "extractor failed", "d1", "ZeroDivisionError: by zero")]
    assert failed.pairs == []
    assert good.pairs
    assert last.pairs
    assert len(ExtractionStore(store).calls()) == 2


@pytest.mark.parametrize("error", [Stopped("the budget is spent"), BadInput("no such model")])
def test_a_stop_goes_through_and_keeps_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(batch, "make_extractor", lambda spec: _Fails(error))
    store = str(tmp_path / "s.sqlite")
    with pytest.raises(type(error)):
        extract_batch(ExtractionJob("fails", store, documents(3)))
    assert len(ExtractionStore(store).calls()) == 1


def test_jobs_keep_the_order_and_read_documents_as_needed(tmp_path: Path) -> None:
    sizes: list[int] = []

    def mapper(function: Any, items: Iterable[Any]) -> Any:
        for item in items:
            sizes.append(len(item.documents))
            yield function(item)

    done = list(
        extract_documents(documents(7), "rules", str(tmp_path / "s.sqlite"), mapper, documents_per_job=3)
    )
    assert [document.id for document in done] == [f"d{n}" for n in range(7)]
    assert sizes == [3, 3, 1]


def test_what_is_no_store_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_text("this is a letter, and it is long enough not to look like an empty database " * 50)
    with pytest.raises(BadInput, match="not a store"):
        ExtractionStore(path)


def test_a_full_disk_stops_with_one_line(tmp_path: Path) -> None:
    store = ExtractionStore(tmp_path / "s.sqlite")
    big = Extraction([], [Reject("extract", "x", "", "y" * 10_000_000)])
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from tests.extract.test_store import *\n"
        "store = ExtractionStore(sys.argv[1])\n"
        "try:\n    store.put('k', Extraction([], [Reject('extract', 'x', '', 'y' * 10_000_000)]), 'x/1')\n"
        "except Stopped as stop:\n    sys.exit(3 if '\\n' not in str(stop) else 4)\n"
    )
    assert run(code, str(store.path)).wait(60) == 3
    store.put("k", big, "x/1")
    assert store.calls() == {"k": 1}


WORKER = """
import sys
from tests.extract.test_store import documents
from tasks.extract.batch import ExtractionJob, extract_batch
extract_batch(ExtractionJob("rules", sys.argv[1], documents(int(sys.argv[2]))))
"""


def test_a_new_store_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """SQLite refuses some of those that turn one new file to WAL together, without waiting."""
    barrier = Barrier(8)

    def open_and_put(name: str) -> None:
        for number in range(60):
            barrier.wait(60)
            with ExtractionStore(tmp_path / str(number)) as store:
                store.put(name, Extraction([], []), "x/1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_put, "abcdefgh"))
    for number in range(60):
        assert ExtractionStore(tmp_path / str(number)).calls() == dict.fromkeys("abcdefgh", 1)


def test_a_store_that_another_process_holds_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.05)
    path = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BadInput, match="another process has held this store"):
            ExtractionStore(path)
    ExtractionStore(path).close()


def test_two_processes_share_a_store(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    processes = [run(WORKER, str(path), "400") for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    calls = ExtractionStore(path).calls()
    assert len(calls) == 400
    assert set(calls.values()) <= {1, 2}  # both may hold the same document at the same time
    job = ExtractionJob("rules", str(path), documents(400), payer="another")
    assert all(document.cached for document in extract_batch(job))


def test_a_killed_process_loses_at_most_the_document_in_its_hands(tmp_path: Path) -> None:
    path, count = tmp_path / "s.sqlite", 20_000
    done: list[int] = []
    for moment in (1, 40, 200):
        process = run(WORKER, str(path), str(count))
        while process.poll() is None and _rows(path) < (done[-1] if done else 0) + moment:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        calls = ExtractionStore(path).calls()
        assert set(calls.values()) == {1}
        done.append(len(calls))
    assert 0 < done[0] < done[1] < done[2] < count
    extractor = make_extractor("rules")
    finished = [work_key(extractor, text) for _, text in documents(count)][: done[-1]]
    assert set(finished) == set(ExtractionStore(path).get_many(finished))


def _rows(path: Path) -> int:
    return len(ExtractionStore(path).calls()) if path.exists() else 0
