"""A SQLite file that several processes of one machine read and write at once, with its errors in one line."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tasks.records import BadInput, Stopped

BUSY_SECONDS = 60.0  # how long a process waits for the others before it gives up
# The disk or its permissions: what the file holds is sound, and can be used once they are mended.
_PASSING = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)


class SqliteFile:
    """A file of tables. Close it, or use it in `with`. It does not cross a process boundary, its path does.

    Args:
        path: the file; made, with its folders, when it is not there.
        schema: statements that make its tables, if they are not there.
        what: it is a store of, for messages.

    Raises (from every method of a subclass, within `in_one_line` or `transaction`):
        BadInput: the file is no such store, or a damaged one.
        Stopped: the disk, its permissions or another process stand in the way; the store itself is sound.
    """

    def __init__(self, path: str | Path, schema: str, what: str) -> None:
        self.path, self._what = Path(path), what
        with self.in_one_line():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = _connect(self.path, schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Writing, alone among all processes; committed at the end of the block, undone by an error."""
        with self.in_one_line():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            finally:
                # On some errors SQLite has rolled back already.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def in_one_line(self) -> Iterator[None]:
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
                f"{self.path}: not a store of {self._what}, or a damaged one ({error}); move it away or choose another folder"
            ) from None


def _connect(path: Path, schema: str) -> sqlite3.Connection:
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
            connection.executescript(schema)
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
