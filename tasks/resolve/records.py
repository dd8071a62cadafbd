"""The tables of a run, read once in a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tasks.corpus.formats import given_with
from tasks.corpus.read import fingerprint
from tasks.match.read import Pairs, Table, read_pairs, read_table, shared_attributes
from tasks.match.serialise import pair_texts
from tasks.records import BadInput
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
    marks = ""  # their sizes and times: a process may outlive a file
    for flag, name in (("--left", settings.left), ("--right", settings.right)):
        if name:
            with given_with(flag):
                marks += fingerprint([name])
    return _read(settings.left, settings.right, settings.id_column, tuple(settings.attributes), marks)


@lru_cache(maxsize=2)
def _read(left: str, right: str, id_column: str, attributes: tuple[str, ...], mark: str) -> Records:
    with given_with("--left"):
        one = read_table(left, id_column)
    with given_with("--right"):
        other = read_table(right, id_column) if right else None
    with given_with("--attributes" if attributes else "--left"):
        return Records(one, other, shared_attributes(one, other or one, attributes))


def given_pairs(settings: BatcherSettings) -> tuple[Pairs | None, Pairs | None]:
    """The pairs to decide and the labelled ones, each once; None where none are given.

    Raises:
        BadInput: a file cannot be read, or labels do not agree.
    """
    records = records_of(settings)
    asked = None
    if settings.pairs:
        with given_with("--pairs"):
            asked = read_pairs(settings.pairs, records.left, records.right)
    if not settings.labels:
        return asked, None
    with given_with("--labels"):
        found = [
            read_pairs(path, records.left, records.right, labelled=True)
            for path in dict.fromkeys(settings.labels)
        ]
    return asked, _unique(found, records)


def labelled_pool(asked: Pairs | None, labelled: Pairs) -> Pairs:
    """The labelled pairs that are not to be decided themselves: their labels would help to decide them.

    Raises:
        BadInput: there are none.
    """
    own = set() if asked is None else set(zip(asked.left.tolist(), asked.right.tolist(), strict=True))
    pairs = zip(labelled.left.tolist(), labelled.right.tolist(), strict=True)
    rows = [row for row, pair in enumerate(pairs) if pair not in own]
    if not rows:
        raise BadInput(
            "--labels: all of its pairs are among --pairs; give labelled pairs that are not to be decided"
        )
    return labelled.take(np.array(rows, dtype=np.int64))


def _unique(parts: list[Pairs], records: Records) -> Pairs:
    """The pairs of all files, each once.

    Raises:
        BadInput: a pair has two labels.
    """
    found = Pairs(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        labels := np.concatenate([part.labels for part in parts if part.labels is not None]),
    )
    first: dict[tuple[int, int], int] = {}
    for row, pair in enumerate(zip(found.left.tolist(), found.right.tolist(), strict=True)):
        before = first.setdefault(pair, row)
        if labels[before] != labels[row]:
            raise BadInput(
                f"--labels: {records.left.ids[pair[0]]} and {records.other.ids[pair[1]]} are {labels[before]} in one file "
                f"and {labels[row]} in another; make the files agree"
            )
    return found.take(np.array(list(first.values()), dtype=np.int64))
