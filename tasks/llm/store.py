"""Replies at rest, and who is asking what: no request is paid twice, no budget is passed, by however many processes.

Everything that has to be known before a request is sent is decided in one transaction: whether its reply is there, whether
another process is waiting for it, whether the money is there, and whether the server is to be left alone.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tasks.llm.request import Usage
from tasks.storage.sqlite import SqliteFile

KEYS_PER_QUERY = 500
_ROUNDING = 1e-9  # dollars: sums of floats are not exact
# Seconds by which a sender may be late without slowing the pace; a longer pause is not made up for.
_CREDIT = 0.05
_CLOCK = 5.0  # seconds that the clock may be set between two looks at when a process began
_SURE = 1.0  # seconds for which a process that was alive is taken to be

# A call is a row of its own: the same request paid twice shows, though only its first reply is kept.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    key TEXT NOT NULL, payer TEXT NOT NULL, stage TEXT NOT NULL, sent INTEGER NOT NULL, cached INTEGER NOT NULL,
    answered INTEGER NOT NULL, retries INTEGER NOT NULL, cost REAL NOT NULL, created REAL NOT NULL);
CREATE INDEX IF NOT EXISTS calls_of_payer ON calls (payer, stage);
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, owner TEXT NOT NULL, payer TEXT NOT NULL, cost REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (payer TEXT PRIMARY KEY, cost REAL NOT NULL, lost REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unread (
    key TEXT, payer TEXT, answer TEXT, PRIMARY KEY (key, payer, answer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pace (endpoint TEXT PRIMARY KEY, next REAL NOT NULL, cool REAL NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may be sent now.

    Args:
        state: 'send' (the caller has to, and to say how it ended); 'known' (`reply` is its reply); 'asked' (another asks
            it now: try again); 'held' (what is left of the budget is held for requests under way, which may cost less:
            try again); 'wait' (`seconds`, then try again); 'over' (it may cost more than is left of the budget).
        spent: with 'over', dollars of the payer so far, without those of requests under way.
    """

    state: Literal["send", "known", "asked", "held", "wait", "over"]
    reply: str = ""
    seconds: float = 0.0
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Spending:
    """What a payer has paid, or a stage of it.

    Args:
        requests: answered and paid.
        retries: tries before these that came to nothing.
        cost: dollars.
    """

    requests: int = 0
    retries: int = 0
    sent: int = 0
    cached: int = 0
    answered: int = 0
    cost: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """What is counted, by the names of the cost ledger."""
        return {
            "requests": self.requests,
            "retries": self.retries,
            "tokens_sent": self.sent,
            "tokens_cached": self.cached,
            "tokens_answered": self.answered,
        }


class RequestStore(SqliteFile):
    """Replies by request, in a file that all processes of a machine share.

    A reply is kept as it came, and committed before `put` returns; a failure is never kept. What a killed process had
    under way is not known to be paid or not: its budget counts it as paid.

    Args:
        path: the file; made, with its folders, when it is not there.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, _SCHEMA, "model replies")
        self._number = next(_NUMBERS)
        self._owner = f"{_process(os.getpid())}:{self._number}"
        _OPEN.add(self._number)

    def close(self) -> None:
        """What is under way still is not known to be paid or not; a process that lives on asks it again."""
        _OPEN.discard(self._number)
        super().close()

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The replies that are there, by key."""
        found: dict[str, str] = {}
        for first in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[first : first + KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            with self.in_one_line():
                found.update(
                    self.connection.execute(f"SELECT key, reply FROM replies WHERE key IN ({marks})", some)
                )
        return found

    def admit(
        self,
        key: str,
        *,
        payer: str,
        cost: float,
        budget: float | None = None,
        endpoint: str = "",
        per_minute: float | None = None,
    ) -> Admission:
        """Ask for leave to send a request; with 'send' it is claimed until `put` or `release`.

        Args:
            cost: dollars it may cost at most.
            budget: dollars that all requests of the payer may cost; None for no limit.
            endpoint: whose pace is kept.
            per_minute: requests that may be sent in a minute, by all processes; they are spaced evenly.
        """
        known = self.get_many([key])
        if known:
            return Admission("known", known[key])
        now = time.time()
        with self.transaction() as connection:
            reply, owner = connection.execute(
                "SELECT (SELECT reply FROM replies WHERE key = ?), (SELECT owner FROM claims WHERE key = ?)",
                (key, key),
            ).fetchone()
            if reply is not None:  # by another, since
                return Admission("known", reply)
            if owner is not None and _is_alive(owner):
                return Admission("asked")
            if owner is not None or budget is not None:
                self._bury()
            if budget is not None:
                spent, held = self._committed(payer)
                if spent + cost > budget + _ROUNDING:
                    return Admission("over", spent=spent)
                if spent + held + cost > budget + _ROUNDING:
                    return Admission("held")
            following, cool = connection.execute(
                "SELECT next, cool FROM pace WHERE endpoint = ?", (endpoint,)
            ).fetchone() or (0.0, 0.0)
            if cool > now:
                return Admission("wait", seconds=cool - now)
            if per_minute:
                if following > now:
                    return Admission("wait", seconds=following - now)
                connection.execute(
                    "INSERT INTO pace VALUES (?, ?, 0) ON CONFLICT (endpoint) DO UPDATE SET next = excluded.next",
                    (endpoint, (following if now - following < _CREDIT else now) + 60.0 / per_minute),
                )
            connection.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (key, self._owner, payer, cost))
            return Admission("send")

    def put(
        self, key: str, reply: str, usage: Usage, *, payer: str, stage: str, cost: float, retries: int = 0
    ) -> None:
        """Commit the reply of a request that was admitted, and what it cost. The first reply of a key stays."""
        now = time.time()
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", (key, reply, now))
            connection.execute(
                "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key, payer, stage, usage.sent, usage.cached, usage.answered, retries, cost, now),
            )
            self._spend(payer, cost=cost)
            connection.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, self._owner))

    def release(self, key: str, *, charged: bool = False) -> None:
        """Give a request back that ended without a reply.

        Args:
            charged: it may have been, as if its process had been killed: its budget counts it as paid.
        """
        with self.transaction() as connection:
            mine = (key, self._owner)
            if charged:
                found = connection.execute("SELECT payer, cost FROM claims WHERE key = ? AND owner = ?", mine)
                for payer, cost in found.fetchall():
                    self._spend(payer, lost=cost)
            connection.execute("DELETE FROM claims WHERE key = ? AND owner = ?", mine)

    def lose(self, key: str, answer: str, *, payer: str, cost: float) -> None:
        """Count a request's answer that could not be read as paid; each answer once, however often it is met.

        Args:
            answer: what tells it from other answers to the request.
            cost: dollars it may have cost at most.
        """
        with self.transaction() as connection:
            row = (key, payer, answer)
            if connection.execute("INSERT OR IGNORE INTO unread VALUES (?, ?, ?)", row).rowcount:
                self._spend(payer, lost=cost)

    def cool_down(self, endpoint: str, seconds: float) -> None:
        """Have all processes leave an endpoint alone for so long, or longer if they were told so before."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO pace VALUES (?, 0, ?) ON CONFLICT (endpoint) DO UPDATE SET cool = max(cool, excluded.cool)",
                (endpoint, time.time() + seconds),
            )

    def spending(self, payer: str, *stages: str) -> Spending:
        """What a payer has paid, in all stages or in these."""
        where = f"payer = ? AND stage IN ({', '.join('?' * len(stages))})" if stages else "payer = ?"
        with self.in_one_line():
            row = self.connection.execute(
                "SELECT count(*), total(retries), total(sent), total(cached), total(answered), total(cost) "
                f"FROM calls WHERE {where}",
                (payer, *stages),
            ).fetchone()
        requests, retries, sent, cached, answered = map(int, row[:5])
        return Spending(requests, retries, sent, cached, answered, cost=row[5])

    def paid_by(self, payer: str) -> set[str]:
        """Keys of the requests that a payer has paid for, alone or beside another."""
        with self.in_one_line():
            rows = self.connection.execute("SELECT DISTINCT key FROM calls WHERE payer = ?", (payer,))
            return {key for (key,) in rows}

    def lost(self, payer: str) -> float:
        """Dollars, at most, of requests that the payer sent without ever learning whether they were charged.

        They were under way when a process was killed, or their answer was late or could not be read.
        """
        with self.transaction() as connection:
            self._bury()
            row = connection.execute("SELECT lost FROM spent WHERE payer = ?", (payer,)).fetchone()
        return row[0] if row else 0.0

    def calls(self) -> dict[str, int]:
        """How often each request was paid, by all processes ever."""
        with self.in_one_line():
            return dict(self.connection.execute("SELECT key, count(*) FROM calls GROUP BY key"))

    def _committed(self, payer: str) -> tuple[float, float]:
        """Dollars that are spent or lost, and those that are held for requests under way."""
        query = (
            "SELECT (SELECT total(cost) + total(lost) FROM spent WHERE payer = ?), "
            "(SELECT total(cost) FROM claims WHERE payer = ?)"
        )
        spent, held = self.connection.execute(query, (payer, payer)).fetchone()
        return spent, held

    def _bury(self) -> None:
        """Claims of processes that are gone become losses of their payers."""
        owners = self.connection.execute("SELECT DISTINCT owner FROM claims").fetchall()
        for (owner,) in owners:
            if _is_alive(owner):
                continue
            rows = self.connection.execute(
                "SELECT payer, sum(cost) FROM claims WHERE owner = ? GROUP BY payer", (owner,)
            )
            for payer, cost in rows.fetchall():
                self._spend(payer, lost=cost)
            self.connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))

    def _spend(self, payer: str, cost: float = 0.0, lost: float = 0.0) -> None:
        self.connection.execute(
            "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (payer) DO UPDATE SET "
            "cost = cost + excluded.cost, lost = lost + excluded.lost",
            (payer, cost, lost),
        )


# Stores that are open in this process: a claim of another one of it was left behind, by a full disk for example.
_OPEN: set[int] = set()
_NUMBERS = itertools.count()


@cache
def _process(number: int) -> str:
    """A process: its number, and when it began, because numbers are used again."""
    return f"{number}:{_began(number)}"


def _is_alive(owner: str) -> bool:
    """Whether the store that holds a claim is still open; of another process, whether that lives."""
    number, began, store = owner.split(":")
    if f"{number}:{began}" == _process(os.getpid()):
        return int(store) in _OPEN
    return _lives(int(number), float(began))


def _lives(number: int, began: float) -> bool:
    now, last = time.monotonic(), _seen_alive.get((number, began), -_SURE)
    if now - last < _SURE:
        return True
    found = _began(number)
    if found is None or abs(found - began) > _CLOCK:
        return False
    _seen_alive[number, began] = now
    return True


_seen_alive: dict[tuple[int, float], float] = {}


def _began(number: int) -> float | None:
    """When a process began, in seconds of the clock as it is set now; None if it has ended."""
    import psutil

    try:
        process = psutil.Process(number)
        # One that was killed stays in the table until its parent asks for it, which may be never.
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return float(process.create_time())
    except psutil.Error:
        return None
