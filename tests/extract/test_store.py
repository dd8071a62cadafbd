"""The store: rows that stay, errors in one line, many processes at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from tasks.extract.extractor import Extraction
from tasks.extract.store import ExtractionStore
from tasks.records import BadInput, Reject, Stopped
from tasks.storage import sqlite

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, cwd=ROOT)


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


def test_what_is_no_store_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_text("this is a letter, and it is long enough not to look like an empty database " * 50)
    with pytest.raises(BadInput, match="not a store"):
        ExtractionStore(path)


def test_a_damaged_store_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    keys = [f"k{n}" for n in range(300)]
    with ExtractionStore(path) as whole:
        for key in keys:
            whole.put(key, Extraction([], [Reject("extract", "x", "", "y" * 500)]), "x/1", "run")
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in range(1, pages):  # the first holds the schema
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    damaged = ExtractionStore(path)
    for read in (lambda: damaged.get_many(keys), lambda: damaged.paid_by("run", keys), damaged.calls):
        with pytest.raises(BadInput, match="damaged") as caught:
            read()
        assert str(path) in str(caught.value)


def test_a_row_that_holds_no_extraction_is_named(tmp_path: Path) -> None:
    store = ExtractionStore(tmp_path / "s.sqlite")
    store.put("k", Extraction([], []), "x/1")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("UPDATE extractions SET value = '{\"pairs\": 3'")
    with pytest.raises(BadInput, match="a row does not hold an extraction"):
        store.get_many(["k"])


def test_a_sound_store_on_a_sick_disk_is_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    ExtractionStore(path).close()
    (tmp_path / "s.sqlite-wal").mkdir()
    with pytest.raises(Stopped, match="then resume") as caught:
        ExtractionStore(path)
    assert "move" not in str(caught.value)
    (tmp_path / "s.sqlite-wal").rmdir()
    ExtractionStore(path).close()


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
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    path = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Stopped, match="another process has held this store"):
            ExtractionStore(path)
    ExtractionStore(path).close()
