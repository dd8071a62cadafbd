"""Extractions at rest, so that no document is ever extracted twice: one committed row per document and extractor."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from tasks.extract.extractor import Extraction
from tasks.records import BadInput, QAPair, Reject, Stopped

BUSY_SECONDS = 60.0
KEYS_PER_QUERY = 500

# A call is a row of its own: work done twice for one key shows, though only its first result is kept.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS extractions (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, extractor TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (key TEXT NOT NULL, extractor TEXT NOT NULL, created REAL NOT NULL);
"""


class ExtractionStore:
    """A SQLite file that several processes of one machine read and write at once.

    A row is committed before `put` returns, so a killed process loses at most the document in its hands. Values hold
    no document id: another document with the same text is the same work.

    Args:
        path: the file; made, with its folders, when it is not there.

    Raises:
        BadInput: the file cannot be opened as a store.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.DatabaseError) as error:
            raise BadInput(
                f"{path}: not a store of extractions ({error}); move it away or choose another folder"
            ) from None

    def get_many(self, keys: Sequence[str]) -> dict[str, Extraction]:
        """The extractions that are there, by key; their ids are those of a document with an empty id."""
        found = {}
        with self._connection() as connection:
            for first in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[first : first + KEYS_PER_QUERY]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, value FROM extractions WHERE key IN ({marks})", some)
                found.update({key: _from_json(value) for key, value in rows})
        return found

    def put(self, key: str, extraction: Extraction, extractor: str) -> None:
        """Commit one extraction. The first result of a key stays; every call is counted."""
        with self.writer() as put:
            put(key, extraction, extractor)

    @contextmanager
    def writer(self) -> Iterator[Callable[[str, Extraction, str], None]]:
        """`put` on one open connection, for many documents; each is still committed on its own.

        `put` raises Stopped when a row cannot be written, say on a full disk.
        """
        with self._connection() as connection:

            def put(key: str, extraction: Extraction, extractor: str) -> None:
                now = time.time()
                row = (key, _to_json(extraction), extractor, now)
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("INSERT OR IGNORE INTO extractions VALUES (?, ?, ?, ?)", row)
                    connection.execute("INSERT INTO calls VALUES (?, ?, ?)", (key, extractor, now))
                    connection.execute("COMMIT")
                except sqlite3.OperationalError as error:
                    raise Stopped(f"{self.path}: {error}; free the disk or the file, then resume") from None

            yield put

    def calls(self) -> dict[str, int]:
        """How often each key was extracted, by all processes ever."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT key, count(*) FROM calls GROUP BY key"))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # Opened per use: a connection must not cross a fork, and a store travels to workers as its path.
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            # Survives a killed process; only a power cut can lose the last rows, and never the file.
            connection.execute("PRAGMA synchronous=NORMAL")
            yield connection


def _to_json(extraction: Extraction) -> str:
    plain = extraction.of("")
    value = {"pairs": [asdict(pair) for pair in plain.pairs], "rejects": [asdict(r) for r in plain.rejects]}
    return json.dumps(value, sort_keys=True)


def _from_json(text: str) -> Extraction:
    value = json.loads(text)
    return Extraction(
        [QAPair(**pair) for pair in value["pairs"]], [Reject(**reject) for reject in value["rejects"]]
    )
