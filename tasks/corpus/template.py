"""Shingles, and which of them are template: what very many documents share says nothing about any of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.words import Hashes, Words

SHINGLE = 5  # words

_COUNTERS = 1 << 22  # a row of the sketch; two rows take 32 MiB whatever the corpus
_FEWEST_DOCUMENTS = 20
_SHARE = 0.002  # of the documents


def shingles(batch: Words) -> list[Hashes]:
    """The distinct word 5-grams of every text, as sorted hashes."""
    hashes, text, _ = batch.runs(SHINGLE)
    edges = np.searchsorted(text, np.arange(len(batch.texts) + 1))
    return [np.unique(hashes[start:end]) for start, end in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Template:
    """The shingles that are template: in each of two rows, the counters that too many documents reached."""

    counters: tuple[NDArray[np.uint32], NDArray[np.uint32]]

    def tables(self) -> list[NDArray[np.bool_]]:
        """The rows as tables of truth values, for `content`."""
        rows = []
        for counters in self.counters:
            row = np.zeros(_COUNTERS, np.bool_)
            row[counters] = True
            rows.append(row)
        return rows


class DocumentFrequency:
    """In how many documents a shingle occurs, in fixed memory.

    A count-min sketch (Cormode & Muthukrishnan 2005) of two rows, less what a counter holds on average (count-mean-min,
    Deng & Rafiei 2007), which is nothing until the shingles of all documents outnumber the counters: long documents do
    not turn into template by filling the sketch. An estimate is too large only where a shingle meets frequent ones in
    both rows.
    """

    def __init__(self) -> None:
        self.documents = 0
        self._rows = np.zeros((2, _COUNTERS), np.uint32)

    def add(self, hashes: Hashes, documents: int) -> None:
        """Counts the shingles of some documents: the distinct ones of each, all in one array."""
        self.documents += documents
        for row, counters in zip(self._rows, _counters_of(hashes), strict=True):
            np.add.at(row, counters, np.uint32(1))

    def template(self) -> Template:
        """The shingles in more than 0.2 % of the documents, and in at least 20."""
        load = int(self._rows[0].sum(dtype=np.uint64)) // _COUNTERS
        limit = max(_FEWEST_DOCUMENTS, int(np.ceil(_SHARE * self.documents))) + load
        first, second = (np.flatnonzero(row >= limit).astype(np.uint32) for row in self._rows)
        return Template((first, second))


def content(hashes: Hashes, tables: list[NDArray[np.bool_]]) -> Hashes:
    """The shingles that are not template."""
    first, second = _counters_of(hashes)
    return hashes[~(tables[0][first] & tables[1][second])]


def _counters_of(hashes: Hashes) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    mask = np.uint64(_COUNTERS - 1)
    return (hashes & mask).astype(np.uint32), ((hashes >> np.uint64(32)) & mask).astype(np.uint32)
