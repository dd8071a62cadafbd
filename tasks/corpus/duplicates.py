"""Exact and near duplicates by content: what very many documents share is template and does not count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_digest

from tasks.corpus.words import Hashes, Words

SHINGLE = 5  # words
PERMUTATIONS = 128

_COUNTERS = 1 << 22  # a row of the sketch; two rows take 32 MiB whatever the corpus
_FEWEST_TEMPLATE_DOCUMENTS = 20
_TEMPLATE_SHARE = 0.002  # of the documents

_FEWEST_CONTENT = 8  # shingles
_LEAST_CONTENT_SHARE = 0.05  # of a document's shingles
_SAME_TEXT = 0.95  # Jaccard similarity of all shingles above which documents with little content are the same

Signatures = NDArray[np.uint32]
Thresholds = NDArray[np.float64]


def exact_key(text: str) -> bytes:
    """A digest that texts share when they differ at most in case and white space."""
    return xxh3_128_digest(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"))


def shingles(batch: Words) -> list[Hashes]:
    """The distinct word 5-grams of every text, as sorted hashes."""
    hashes, text, _ = batch.runs(SHINGLE)
    edges = np.searchsorted(text, np.arange(len(batch.texts) + 1))
    return [np.unique(hashes[start:end]) for start, end in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Template:
    """The shingles that are template: in each of two rows, the counters that too many documents reached."""

    counters: tuple[NDArray[np.uint32], NDArray[np.uint32]]

    def lookup(self) -> list[NDArray[np.bool_]]:
        """The rows as tables of truth values."""
        rows = []
        for counters in self.counters:
            row = np.zeros(_COUNTERS, np.bool_)
            row[counters] = True
            rows.append(row)
        return rows


class DocumentFrequency:
    """In how many documents a shingle occurs, in fixed memory.

    A count-min sketch (Cormode & Muthukrishnan 2005) of two rows: an estimate is never too small, and too large only
    where a shingle meets frequent ones in both rows.
    """

    def __init__(self) -> None:
        self.documents = 0
        self._rows = np.zeros((2, _COUNTERS), np.uint32)

    def add(self, documents: Iterable[Hashes]) -> None:
        """Counts the distinct shingles of documents."""
        documents = list(documents)
        self.documents += len(documents)
        together = np.concatenate([*documents, np.empty(0, np.uint64)])
        for row, counters in zip(self._rows, _counters(together), strict=True):
            np.add.at(row, counters, np.uint32(1))

    def estimate(self, hashes: Hashes) -> NDArray[np.uint32]:
        """Documents per shingle, an upper bound."""
        first, second = _counters(hashes)
        counts: NDArray[np.uint32] = np.minimum(self._rows[0][first], self._rows[1][second])
        return counts

    def template(self) -> Template:
        """The shingles in more than 0.2 % of the documents, and in at least 20."""
        limit = max(_FEWEST_TEMPLATE_DOCUMENTS, int(np.ceil(_TEMPLATE_SHARE * self.documents)))
        first, second = (np.flatnonzero(row >= limit).astype(np.uint32) for row in self._rows)
        return Template((first, second))


def signatures(
    documents: Iterable[Hashes], template: Template, threshold: float
) -> tuple[Signatures, Thresholds]:
    """MinHash signatures of documents' content shingles, and how similar another must be to be a near duplicate.

    A document with next to no content of its own (fewer than 8 shingles, or under 5 % of them) is signed by all of its
    shingles and held to 0.95: two filled-in forms differ in their entries, two copies of a page in nothing. One of
    fewer than 8 shingles in all has too few for an estimate and is compared with none.

    Args:
        documents: distinct shingles of each of n documents.
        template: the shingles that do not count.
        threshold: Jaccard similarity of content from which a document is a near duplicate.

    Returns:
        signatures (n, 128) and thresholds (n,), infinite for documents that are compared with none.
    """
    first, second = template.lookup()
    multiply, add = _permutations()
    signed, limits = [], []
    for hashes in documents:
        counters = _counters(hashes)
        content = hashes[~(first[counters[0]] & second[counters[1]])]
        if len(hashes) < _FEWEST_CONTENT:
            limits.append(np.inf)
        elif len(content) < max(_FEWEST_CONTENT, _LEAST_CONTENT_SHARE * len(hashes)):
            content = hashes
            limits.append(max(_SAME_TEXT, threshold))
        else:
            limits.append(threshold)
        signed.append(_signature(content, multiply, add))
    return np.array(signed, np.uint32).reshape(-1, PERMUTATIONS), np.array(limits)


class NearDuplicates:
    """The documents kept so far, asked for one that a new document nearly repeats.

    Candidates come from datasketch's MinHashLSH and are verified by the signatures' estimate of the Jaccard similarity.

    Source: Broder 1997 (MinHash); Lee et al. 2022, arXiv 2107.06499 (deduplication of training data).

    Args:
        threshold: the lowest similarity that is asked for; the index is tuned to it.
    """

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHashLSH

        # False negatives weigh more: false candidates are sorted out by the estimate.
        self._index = MinHashLSH(
            threshold=threshold, num_perm=PERMUTATIONS, weights=(0.1, 0.9), hashfunc=_short
        )
        self._ids: list[str] = []
        self._signatures = np.empty((256, PERMUTATIONS), np.uint32)

    def find_or_keep(self, id: str, signature: Signatures, threshold: float) -> tuple[str, float] | None:
        """The id of the kept document that this one repeats and their similarity; else the document is kept."""
        if np.isinf(threshold):
            return None
        hashed = _minhash(signature)
        candidates = np.array(sorted(self._index.query(hashed)), np.int64)
        if len(candidates):
            similarity = (self._signatures[candidates] == signature).mean(axis=1)
            best = int(similarity.argmax())
            if similarity[best] >= threshold:
                return self._ids[candidates[best]], float(similarity[best])
        row = len(self._ids)
        if row == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[row] = signature
        self._ids.append(id)
        self._index.insert(row, hashed, check_duplication=False)
        return None


def _counters(hashes: Hashes) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    mask = np.uint64(_COUNTERS - 1)
    return (hashes & mask).astype(np.uint32), ((hashes >> np.uint64(32)) & mask).astype(np.uint32)


def _signature(hashes: Hashes, multiply: Signatures, add: Signatures) -> Signatures:
    signature = np.full(PERMUTATIONS, np.iinfo(np.uint32).max, np.uint32)
    low = (hashes >> np.uint64(16)).astype(np.uint32)
    for start in range(0, len(low), 1024):  # a block of half a megabyte stays in the processor's cache
        block = low[start : start + 1024, None] * multiply + add
        np.minimum(signature, block.min(axis=0), out=signature)
    return signature


@cache
def _permutations() -> tuple[Signatures, Signatures]:
    from datasketch import MinHash

    multiply, add = MinHash(num_perm=PERMUTATIONS).permutations
    return multiply, add


def _minhash(signature: Signatures) -> Any:
    from datasketch import MinHash

    return MinHash(hashvalues=signature, permutations=np.array(_permutations()), scheme="affine32")


def _short(band: bytes) -> bytes:
    """Bands are kept as 8 bytes each, a tenth of the memory."""
    return xxh3_128_digest(band)[:8]
