"""Extractions at rest, so that no document is ever extracted twice: one committed row per document and extractor."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from tasks.extract.extractor import Extraction
from tasks.records import QAPair, Reject
from tasks.storage.sqlite import SqliteFile

KEYS_PER_QUERY = 500
_PAIR = [field.name for field in fields(QAPair)]
_REJECT = [field.name for field in fields(Reject) if field.name != "cost"]  # the extraction has it

# A call is a row of its own: work done twice for one key shows, though only its first result is kept.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS extractions (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, extractor TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    key TEXT NOT NULL, extractor TEXT NOT NULL, created REAL NOT NULL, payer TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS calls_of_key ON calls (key);
"""


class ExtractionStore(SqliteFile):
    """A SQLite file that several processes of one machine read and write at once.

    A row is committed before `put` returns, so a killed process loses at most the document in its hands. Values hold
    no document id: another document with the same text is the same work.

    Args:
        path: the file; made, with its folders, when it is not there.

    Raises (from every method):
        BadInput: the file is no store, or a damaged one.
        Stopped: the disk, its permissions or another process stand in the way; the store itself is sound.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, _SCHEMA, "extractions")

    def get_many(self, keys: Sequence[str]) -> dict[str, Extraction]:
        """The extractions that are there, by key; their ids are those of a document with an empty id."""
        found = {}
        for first in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[first : first + KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, value FROM extractions WHERE key IN ({marks})"
            with self.in_one_line():
                found.update({key: _from_json(value) for key, value in self.connection.execute(query, some)})
        return found

    def paid_by(self, payer: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys that this payer (a run) has paid for, alone or beside another at the same time."""
        paid = set()
        for first in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[first : first + KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key FROM calls WHERE payer = ? AND key IN ({marks})"
            with self.in_one_line():
                paid |= {key for (key,) in self.connection.execute(query, [payer, *some])}
        return paid

    def put(self, key: str, extraction: Extraction, extractor: str, payer: str = "") -> None:
        """Commit one extraction. The first result of a key stays; every call is counted, with the run that paid it."""
        now = time.time()
        row = (key, _to_json(extraction), extractor, now)
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO extractions VALUES (?, ?, ?, ?)", row)
            connection.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", (key, extractor, now, payer))

    def calls(self) -> dict[str, int]:
        """How often each key was extracted, by all processes ever."""
        with self.in_one_line():
            return dict(self.connection.execute("SELECT key, count(*) FROM calls GROUP BY key"))


def _to_json(extraction: Extraction) -> str:
    plain = extraction.of("")
    value = {
        "pairs": [{name: getattr(pair, name) for name in _PAIR} for pair in plain.pairs],
        "rejects": [{name: getattr(reject, name) for name in _REJECT} for reject in plain.rejects],
        "cost": plain.cost,
    }
    return json.dumps(value)


def _from_json(text: str) -> Extraction:
    try:
        value = json.loads(text)
        return Extraction(
            [QAPair(**pair) for pair in value["pairs"]],
            [Reject(**reject) for reject in value["rejects"]],
            value.get("cost", 0.0),
        )
    except (ValueError, TypeError, KeyError):
        raise sqlite3.DatabaseError("a row does not hold an extraction") from None
