"""Exact and near duplicates by content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_digest

from tasks.corpus.template import Template, content
from tasks.corpus.words import Hashes, mix

PERMUTATIONS = 128

_FEWEST_CONTENT = 8  # shingles
_LEAST_CONTENT_SHARE = 0.05  # of a document's shingles
_SAME_TEXT = 0.95  # Jaccard similarity of all shingles above which documents with little content are the same

_BUCKET = 32  # kept documents a bucket of the index remembers
_VERIFIED = 16  # candidates whose shingles are compared

Signatures = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Signed:
    """What a batch of n documents is compared by.

    Args:
        signatures: (n, 128) MinHash signatures.
        thresholds: (n,) how similar another must be to be a near duplicate; infinite for documents compared with none.
        shingles: what was signed, as sorted 32-bit hashes, one document after the other.
        sizes: (n,) shingles of each document.
    """

    signatures: Signatures
    thresholds: NDArray[np.float64]
    shingles: NDArray[np.uint32]
    sizes: NDArray[np.int64]


def exact_key(text: str) -> bytes:
    """A digest that texts share when they differ at most in case and white space."""
    return xxh3_128_digest(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"))


def sign(documents: Iterable[Hashes], template: Template, threshold: float) -> Signed:
    """Signs documents by their content shingles, and says how similar another must be to be a near duplicate.

    A document with next to no content of its own (fewer than 8 shingles, or under 5 % of them) is signed by all of its
    shingles and held to 0.95: two filled-in forms differ in their entries, two copies of a page in nothing. One of
    fewer than 8 shingles in all has too few to tell and is compared with none.

    Args:
        documents: distinct shingles of each of n documents.
        template: the shingles that do not count.
        threshold: Jaccard similarity of content from which a document is a near duplicate; 1 compares none.
    """
    tables = template.tables()
    multiply, add = _permutations()
    signed, limits, compared = [], [], []
    for hashes in documents:
        own = content(hashes, tables)
        limit = threshold
        if len(hashes) < _FEWEST_CONTENT or threshold >= 1:
            own, limit = hashes[:0], np.inf
        elif len(own) < max(_FEWEST_CONTENT, _LEAST_CONTENT_SHARE * len(hashes)):
            own, limit = hashes, max(_SAME_TEXT, threshold)
        # 32 bits of a hash tell the shingles of two documents apart, and are all that the permutations take.
        low = np.unique((own >> np.uint64(16)).astype(np.uint32))
        signed.append(_signature(low, multiply, add))
        limits.append(limit)
        compared.append(low)
    return Signed(
        np.array(signed, np.uint32).reshape(-1, PERMUTATIONS),
        np.array(limits),
        np.concatenate([*compared, np.empty(0, np.uint32)]),
        np.array([len(low) for low in compared], np.int64),
    )


class NearDuplicates:
    """Finds, in order, the documents that nearly repeat one kept before.

    First every document is added, then every document is asked for. Signatures and shingles wait in a file. Documents
    that agree in a band of their signatures are candidates; of the 16 with the most similar signatures the exact
    Jaccard similarity of the shingles decides. A bucket (documents equal in one band) remembers its first 32 kept
    documents, so that a question costs the same in a family of thousands of forms, which are alike and no duplicates;
    a copy of a form whose signature is the family's in every band can be missed there.

    In memory are a document's place in the file, its threshold, and some 20 bytes a band while the buckets are laid out;
    afterwards up to 13 bytes a band of those that share a bucket. There are 14 bands at a threshold of 0.8, 32 at 0.5.

    Source: Broder 1997 (MinHash); Lee et al. 2022, arXiv 2107.06499 (deduplication of training data). Permutations and
    the layout of the bands are datasketch's.

    Args:
        path: file for signatures and shingles; the caller removes it.
        threshold: the lowest similarity that is asked for; the bands are laid out for it.
    """

    def __init__(self, path: Path, threshold: float) -> None:
        from datasketch import MinHashLSH

        # False negatives weigh more: false candidates are sorted out by comparing.
        index = MinHashLSH(threshold=min(threshold, _SAME_TEXT), num_perm=PERMUTATIONS, weights=(0.1, 0.9))
        self._ranges: list[tuple[int, int]] = index.hashranges
        self._path = path
        path.write_bytes(b"")
        self._bands: list[Hashes] = []
        self._limits: list[NDArray[np.float64]] = []
        self._sizes: list[NDArray[np.int64]] = []
        self._ids: dict[int, str] = {}

    def add(self, batch: Signed) -> None:
        """Adds the next documents."""
        ends = np.cumsum(batch.sizes)
        with self._path.open("ab") as file:
            for signature, end, size in zip(batch.signatures, ends, batch.sizes, strict=True):
                file.write(signature.tobytes())
                file.write(batch.shingles[end - size : end].tobytes())
        self._bands.append(_bands(batch.signatures, self._ranges))
        self._limits.append(batch.thresholds)
        self._sizes.append(batch.sizes)

    def freeze(self) -> None:
        """Ends the adding."""
        self._thresholds = np.concatenate([*self._limits, np.empty(0)])
        sizes = np.concatenate([*self._sizes, np.empty(0, np.int64)])
        self._starts = np.concatenate([[0], np.cumsum(sizes + PERMUTATIONS)])
        self._fill_buckets(np.concatenate([*self._bands, np.empty((0, len(self._ranges)), np.uint64)]))
        self._bands.clear()
        self._limits.clear()
        self._sizes.clear()
        if len(self._suspects):
            self._stored = np.asarray(np.memmap(self._path, np.uint32, "r"))

    def _fill_buckets(self, bands: Hashes) -> None:
        """Numbers the buckets that hold more than one document, and makes room for what they will remember."""
        compared = np.flatnonzero(np.isfinite(self._thresholds))
        buckets = np.full(bands.shape, -1, np.int32)
        room: list[NDArray[np.int64]] = []
        number = 0
        for band in range(bands.shape[1]):
            _, place, size = np.unique(bands[compared, band], return_inverse=True, return_counts=True)
            shared = size > 1
            numbers = np.where(shared, number + np.cumsum(shared) - 1, -1)
            buckets[compared, band] = numbers[place]
            room.append(np.minimum(size[shared], _BUCKET))
            number += int(shared.sum())
        self._suspects = np.flatnonzero((buckets >= 0).any(axis=1))
        self._buckets = buckets[self._suspects]
        self._edges = np.concatenate([[0], np.cumsum(np.concatenate([*room, np.empty(0, np.int64)]))])
        self._filled = np.zeros(number, np.int8)
        self._remembered = np.empty(self._edges[-1], np.int32)

    def find_or_keep(self, row: int, id: str) -> tuple[str, float] | None:
        """The id of the kept document that this one repeats and their similarity; else the document is kept.

        Args:
            row: place of the document among those added; rows are asked for in ascending order.
            id: its id.
        """
        suspect = int(np.searchsorted(self._suspects, row))
        if suspect == len(self._suspects) or self._suspects[suspect] != row:
            return None
        buckets = self._buckets[suspect]
        buckets = buckets[buckets >= 0]
        similar = [(self._similarity(row, other), -other) for other in self._candidates(row, buckets)]
        if similar:
            similarity, other = max(similar)
            if similarity >= self._thresholds[row]:
                return self._ids[-other], similarity
        self._ids[row] = id
        free = buckets[self._edges[buckets] + self._filled[buckets] < self._edges[buckets + 1]]
        self._remembered[self._edges[free] + self._filled[free]] = row
        self._filled[free] += 1
        return None

    def _candidates(self, row: int, buckets: NDArray[np.int32]) -> list[int]:
        """The kept documents in the buckets whose signatures agree most with the row's."""
        starts = self._edges[buckets]
        known = [
            self._remembered[start : start + filled]
            for start, filled in zip(starts, self._filled[buckets], strict=True)
        ]
        rows = np.unique(np.concatenate(known))
        places = self._starts[rows][:, None] + np.arange(PERMUTATIONS)
        agreeing = (self._stored[places] == self._signature(row)).sum(axis=1)
        best = np.argsort(-agreeing, kind="stable")[:_VERIFIED]
        return [int(other) for other in rows[best]]

    def _signature(self, row: int) -> Signatures:
        return self._stored[self._starts[row] : self._starts[row] + PERMUTATIONS]

    def _similarity(self, row: int, other: int) -> float:
        """Jaccard similarity of what the two documents were signed by."""
        one, two = (
            self._stored[self._starts[at] + PERMUTATIONS : self._starts[at + 1]] for at in (row, other)
        )
        both = len(np.intersect1d(one, two, assume_unique=True))
        return both / (len(one) + len(two) - both)


def _bands(signatures: Signatures, ranges: list[tuple[int, int]]) -> Hashes:
    """A hash of each band of each signature; equal bands have equal hashes."""
    return np.stack([mix(signatures[:, start:end].astype(np.uint64)) for start, end in ranges], axis=1)


def _signature(shingles: Signatures, multiply: Signatures, add: Signatures) -> Signatures:
    signature = np.full(PERMUTATIONS, np.iinfo(np.uint32).max, np.uint32)
    for start in range(0, len(shingles), 1024):  # a block of half a megabyte stays in the processor's cache
        block = shingles[start : start + 1024, None] * multiply + add
        np.minimum(signature, block.min(axis=0), out=signature)
    return signature


@cache
def _permutations() -> tuple[Signatures, Signatures]:
    from datasketch import MinHash

    multiply, add = MinHash(num_perm=PERMUTATIONS).permutations
    return multiply, add
