"""What was asked and answered in a campaign, in one SQLite file: an answer that was accepted is on disk, and counts once.

An assignment is leased: nobody else is given the item's place until it is answered, given back, or the lease has run out. An
answer needs no lease: it is kept also when it comes late, or after the process that handed the item out was killed, if the
campaign's budgets pay it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.storage.sqlite import SqliteFile

Facts = dict[str, Any]

# Names and not codes: the file can be read without the items, and the order of rows is the order of answers.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY, task TEXT NOT NULL, worker TEXT NOT NULL, label TEXT NOT NULL, round INTEGER NOT NULL,
    cost REAL NOT NULL, seconds REAL, created REAL NOT NULL, UNIQUE (task, worker));
CREATE TABLE IF NOT EXISTS skips (
    task TEXT NOT NULL, worker TEXT NOT NULL, reason TEXT NOT NULL, round INTEGER NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (task, worker));
CREATE TABLE IF NOT EXISTS leases (
    task TEXT NOT NULL, worker TEXT NOT NULL, batch INTEGER NOT NULL, place INTEGER NOT NULL, began REAL NOT NULL,
    until REAL NOT NULL, PRIMARY KEY (task, worker));
CREATE TABLE IF NOT EXISTS adjudicated (task TEXT PRIMARY KEY, label TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS rounds (number INTEGER PRIMARY KEY, quota INTEGER NOT NULL, facts TEXT);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
FOR_EVER = 1e12  # as the end of a lease, seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """An accepted answer.

    Args:
        cost: US dollars.
        seconds: from the lease to the answer; None where there was none.
    """

    task: str
    worker: str
    label: str
    round: int = 0
    cost: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An item that a worker has in hand.

    Args:
        batch: number of the handing out it is of.
        until: when it may be given to another.
    """

    task: str
    worker: str
    batch: int
    until: float


class CampaignStore(SqliteFile):
    """Answers, skips and leases of one campaign.

    Args:
        path: the file; made when it is not there.
        clock: seconds since 1970.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, _SCHEMA, "a campaign's answers")
        self.clock = clock

    def answers(self) -> list[Answer]:
        """All of them, in the order in which they were accepted."""
        with self.in_one_line():
            rows = self.connection.execute(
                "SELECT task, worker, label, round, cost, seconds FROM answers ORDER BY number"
            ).fetchall()
        return [Answer(*row) for row in rows]

    def skips(self) -> list[tuple[str, str, int]]:
        """(task, worker, round) of items that a worker did not want, or could not answer."""
        with self.in_one_line():
            return list(
                self.connection.execute("SELECT task, worker, round FROM skips ORDER BY task, worker")
            )

    def leases(self) -> list[Lease]:
        """Those that have not run out, in the order of handing out."""
        with self.in_one_line():
            rows = self.connection.execute(
                "SELECT task, worker, batch, until FROM leases WHERE until > ? ORDER BY batch, place",
                (self.clock(),),
            ).fetchall()
        return [Lease(*row) for row in rows]

    def batches(self) -> int:
        """How often items were handed out."""
        return int(self.note("batches") or 0)

    def lease(self, worker: str, tasks: Sequence[str], seconds: float = FOR_EVER) -> int:
        """Hand items to a worker. Returns the number of the batch."""
        now = self.clock()
        with self.transaction() as connection:
            batch = int(self._note(connection, "batches") or 0) + 1
            self._set_note(connection, "batches", str(batch))
            connection.executemany(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)",
                [(task, worker, batch, place, now, now + seconds) for place, task in enumerate(tasks)],
            )
        return batch

    def accept(
        self,
        answers: Iterable[Answer],
        skips: Iterable[tuple[str, str, str, int]] = (),
        timed: bool = False,
    ) -> tuple[list[bool], list[bool]]:
        """Keep answers, all or none of them; on disk when this returns.

        Args:
            skips: (task, worker, reason, round) of items that got no answer.
            timed: keep how long each took since it was handed out.

        Returns:
            Of each answer, and of each skip, whether it counts: of a worker's answers to one item the first does.
        """
        now, counted, skipped = self.clock(), [], []
        with self.transaction() as connection:
            for one in answers:
                began = connection.execute(
                    "SELECT began FROM leases WHERE task = ? AND worker = ?", (one.task, one.worker)
                ).fetchone()
                seconds = now - began[0] if timed and began else one.seconds
                made = connection.execute(
                    "INSERT INTO answers (task, worker, label, round, cost, seconds, created) VALUES (?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (task, worker) DO NOTHING",
                    (one.task, one.worker, one.label, one.round, one.cost, seconds, now),
                )
                counted.append(made.rowcount > 0)
                self._return(connection, one.task, one.worker)
            for task, worker, reason, round in skips:
                made = connection.execute(
                    "INSERT INTO skips VALUES (?, ?, ?, ?, ?) ON CONFLICT (task, worker) DO NOTHING",
                    (task, worker, reason, round, now),
                )
                skipped.append(made.rowcount > 0)
                self._return(connection, task, worker)
        return counted, skipped

    def adjudicated(self) -> dict[str, str]:
        """Labels that somebody decided in the end, by task."""
        with self.in_one_line():
            return dict(self.connection.execute("SELECT task, label FROM adjudicated"))

    def adjudicate(self, labels: dict[str, str]) -> None:
        """Keep what was decided; the first decision about an item stays."""
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO adjudicated VALUES (?, ?, ?) ON CONFLICT (task) DO NOTHING",
                [(task, label, self.clock()) for task, label in labels.items()],
            )

    def rounds(self) -> list[tuple[int, int, Facts | None]]:
        """(number, answers to collect, facts) of each round; facts are None while it lasts."""
        with self.in_one_line():
            rows = self.connection.execute(
                "SELECT number, quota, facts FROM rounds ORDER BY number"
            ).fetchall()
        return [(number, quota, json.loads(facts) if facts else None) for number, quota, facts in rows]

    def begin_round(self, number: int, quota: int) -> None:
        with self.transaction() as connection:
            connection.execute("INSERT INTO rounds VALUES (?, ?, NULL)", (number, quota))

    def end_round(self, number: int, facts: Facts) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE rounds SET facts = ? WHERE number = ?", (json.dumps(facts), number))

    def note(self, name: str) -> str:
        """Something that is remembered; "" if it is not."""
        with self.in_one_line():
            return self._note(self.connection, name)

    def set_note(self, name: str, value: str) -> None:
        with self.transaction() as connection:
            self._set_note(connection, name, value)

    @staticmethod
    def _note(connection: sqlite3.Connection, name: str) -> str:
        row = connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    @staticmethod
    def _set_note(connection: sqlite3.Connection, name: str, value: str) -> None:
        connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    @staticmethod
    def _return(connection: sqlite3.Connection, task: str, worker: str) -> None:
        connection.execute("DELETE FROM leases WHERE task = ? AND worker = ?", (task, worker))
