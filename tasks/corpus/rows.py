"""Tables of which each row counts a little: their columns, how many rows may be unusable, and what is said of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tasks.corpus.formats import PATIENCE, first_records, path_of, reader_of
from tasks.records import BadInput, Reject
from tasks.run import terminal
from tasks.storage.tables import read_rows

REJECTS = "rejected.parquet"  # in a run's folder


def column_names(name: str, flag: str) -> list[str]:
    """The columns of a file.

    Args:
        flag: that names the file, for messages.

    Raises:
        BadInput: it cannot be read, or has no rows.
    """
    path = path_of(name)
    if not path.exists():
        raise BadInput(f"{flag} {name}: no such file")
    if path.is_dir() or reader_of(path) is None:
        raise BadInput(f"{flag} {name}: give a file of JSON lines, CSV or Parquet")
    first = next(first_records(path, PATIENCE), None)
    if first is None:
        raise BadInput(f"{flag} {name}: no rows in it that can be read")
    return [str(column) for column in first]


def check_usable(rejected: Sequence[Reject], used: int, max_broken: float, flag: str, name: str) -> None:
    """Whether enough rows of a file can be used.

    Args:
        rejected: its rows that are broken, with the place as id.
        used: how many others there are.
        max_broken: share of all rows that may be broken.

    Raises:
        BadInput: none is left, or more are broken.
    """
    if not used and not rejected:
        raise BadInput(f"{flag} {name}: no rows in it")
    if not used:
        reason, count = Counter(reject.reason for reject in rejected).most_common(1)[0]
        first = next(reject for reject in rejected if reject.reason == reason)
        said = f", {first.detail}" if first.detail else ""
        raise BadInput(
            f"{flag}: no row can be used: {count} of {len(rejected)} {reason} (first {first.id}{said}); check the columns"
        )
    if rejected:
        first = rejected[0]
        said = f"{first.reason}, {first.detail}" if first.detail else first.reason
        check_broken(len(rejected), used, f"{first.id} ({said})", max_broken, f"{flag}: ")


def check_broken(broken: int, used: int, first: str, max_broken: float, where: str = "") -> None:
    """Stops when too many records are broken.

    Args:
        used: records that are not.
        first: broken record, as it is shown.
        max_broken: share of all records that may be broken.
        where: they are from, before the message.

    Raises:
        BadInput: more than that.
    """
    if broken > max_broken * (used + broken):
        raise BadInput(
            f"{where}{broken} of {used + broken} records cannot be used, first {first}; "
            f"mend them, or allow more with --max-broken (now {max_broken:g})"
        )


def tell_rejected(run: Path) -> None:
    """Say on the terminal how many rows a run has rejected, why, and where they are listed."""
    path = run / REJECTS
    reasons = Counter(row["reason"] for row in read_rows(path, ["reason"])) if path.exists() else Counter()
    if count := reasons.total():
        said = ", ".join(f"{of:,} {reason}" for reason, of in reasons.most_common())
        terminal.current().note(f"{count:,} row{'s' if count > 1 else ''} rejected ({said}): see {path}")
