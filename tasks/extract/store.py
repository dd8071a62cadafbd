"""Extractions at rest, so that no document is ever extracted twice: one committed row per document and extractor."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from tasks.extract.extractor import Extraction
from tasks.records import BadInput, QAPair, Reject, Stopped

BUSY_SECONDS = 60.0  # how long a process waits for the others before it gives up
KEYS_PER_QUERY = 500
# The disk or its permissions: what the file holds is sound, and can be used once they are mended.
_PASSING = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)
_PAIR = [field.name for field in fields(QAPair)]
_REJECT = [field.name for field in fields(Reject)]

# A call is a row of its own: work done twice for one key shows, though only its first result is kept.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS extractions (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, extractor TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    key TEXT NOT NULL, extractor TEXT NOT NULL, created REAL NOT NULL, payer TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS calls_of_key ON calls (key);
"""


class ExtractionStore:
    """A SQLite file that several processes of one machine read and write at once. Close it, or use it in `with`.

    A row is committed before `put` returns, so a killed process loses at most the document in its hands. Values hold
    no document id: another document with the same text is the same work. A store does not cross a process boundary,
    its path does.

    Args:
        path: the file; made, with its folders, when it is not there.

    Raises (from every method):
        BadInput: the file is no store, or a damaged one.
        Stopped: the disk, its permissions or another process stand in the way; the store itself is sound.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._in_one_line():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(self.path)

    def __enter__(self) -> ExtractionStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def get_many(self, keys: Sequence[str]) -> dict[str, Extraction]:
        """The extractions that are there, by key; their ids are those of a document with an empty id."""
        found = {}
        for first in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[first : first + KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, value FROM extractions WHERE key IN ({marks})"
            with self._in_one_line():
                found.update({key: _from_json(value) for key, value in self._connection.execute(query, some)})
        return found

    def paid_by(self, payer: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys that this payer (a run) has paid for, alone or beside another at the same time."""
        paid = set()
        for first in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[first : first + KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key FROM calls WHERE payer = ? AND key IN ({marks})"
            with self._in_one_line():
                paid |= {key for (key,) in self._connection.execute(query, [payer, *some])}
        return paid

    def put(self, key: str, extraction: Extraction, extractor: str, payer: str = "") -> None:
        """Commit one extraction. The first result of a key stays; every call is counted, with the run that paid it."""
        now = time.time()
        row = (key, _to_json(extraction), extractor, now)
        with self._in_one_line():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute("INSERT OR IGNORE INTO extractions VALUES (?, ?, ?, ?)", row)
                self._connection.execute(
                    "INSERT INTO calls VALUES (?, ?, ?, ?)", (key, extractor, now, payer)
                )
                self._connection.execute("COMMIT")
            finally:
                # On some errors SQLite has rolled back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def calls(self) -> dict[str, int]:
        """How often each key was extracted, by all processes ever."""
        with self._in_one_line():
            return dict(self._connection.execute("SELECT key, count(*) FROM calls GROUP BY key"))

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        """An error of SQLite as one line for the user: what is wrong with the file, or what it waits for."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except (OSError, sqlite3.DatabaseError) as error:
            if _is_busy(error):
                raise Stopped(
                    f"{self.path}: another process has held this store for {BUSY_SECONDS:.0f} s; end it, then resume"
                ) from None
            if isinstance(error, OSError) or _code(error) in _PASSING:
                raise Stopped(
                    f"{self.path}: {error}; free the disk or check its permissions, then resume"
                ) from None
            raise BadInput(
                f"{self.path}: not a store of extractions, or a damaged one ({error}); move it away or choose another folder"
            ) from None


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file and make its tables, waiting for processes that do the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # Survives a killed process; only a power cut can lose the last rows, and never the file.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(_SCHEMA)
            return connection
        except sqlite3.DatabaseError as error:
            connection.close()
            # SQLite's own timeout does not cover the change to WAL: of two processes that both hold a new file for
            # reading and want it for writing, one is refused at once.
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, 0.02))


def _is_busy(error: Exception) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: Exception) -> int:
    """SQLite's primary code; 0 for an error that is not SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _to_json(extraction: Extraction) -> str:
    plain = extraction.of("")
    value = {
        "pairs": [{name: getattr(pair, name) for name in _PAIR} for pair in plain.pairs],
        "rejects": [{name: getattr(reject, name) for name in _REJECT} for reject in plain.rejects],
    }
    return json.dumps(value)


def _from_json(text: str) -> Extraction:
    try:
        value = json.loads(text)
        return Extraction(
            [QAPair(**pair) for pair in value["pairs"]], [Reject(**reject) for reject in value["rejects"]]
        )
    except (ValueError, TypeError, KeyError):
        raise sqlite3.DatabaseError("a row does not hold an extraction") from None
