"""The tables of a run, read once in a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tasks.corpus.read import fingerprint
from tasks.match.read import Pairs, Table, read_table, shared_attributes
from tasks.match.serialise import pair_texts
from tasks.resolve.settings import BatcherSettings


@dataclass(frozen=True, slots=True)
class Records:
    """The tables of a run.

    Args:
        right: None where records are matched within the left one.
        attributes: that are compared and shown.
    """

    left: Table
    right: Table | None
    attributes: list[str]

    @property
    def other(self) -> Table:
        return self.left if self.right is None else self.right

    def texts(self, pairs: Pairs) -> list[str]:
        """Each pair as a prompt shows it."""
        return pair_texts(self.left, self.other, pairs, self.attributes)


def records_of(settings: BatcherSettings) -> Records:
    """The tables that settings name.

    Raises:
        BadInput: one cannot be read, or they have no attribute in common.
    """
    names = [name for name in (settings.left, settings.right) if name]
    # By their sizes and times as well: a process may outlive a file.
    return _read(
        settings.left, settings.right, settings.id_column, tuple(settings.attributes), fingerprint(names)
    )


@lru_cache(maxsize=2)
def _read(left: str, right: str, id_column: str, attributes: tuple[str, ...], mark: str) -> Records:
    one = read_table(left, id_column)
    other = read_table(right, id_column) if right else None
    return Records(one, other, shared_attributes(one, other or one, attributes))
