"""Exact and near duplicates by content."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest, xxh3_128_digest

from tasks.corpus.template import Template, content
from tasks.corpus.words import Hashes, mix

PERMUTATIONS = 128

_FEWEST_CONTENT = 8  # shingles
_LEAST_CONTENT_SHARE = 0.05  # of a document's shingles
_SAME_TEXT = 0.95  # Jaccard similarity of all shingles above which documents with little content are the same

Signatures = NDArray[np.uint32]
Thresholds = NDArray[np.float64]


def exact_key(text: str) -> bytes:
    """A digest that texts share when they differ at most in case and white space."""
    return xxh3_128_digest(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"))


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
        threshold: Jaccard similarity of content from which a document is a near duplicate; 1 compares none.

    Returns:
        signatures (n, 128) and thresholds (n,), infinite for documents that are compared with none.
    """
    tables = template.tables()
    multiply, add = _permutations()
    signed, limits = [], []
    for hashes in documents:
        own = content(hashes, tables)
        if len(hashes) < _FEWEST_CONTENT or threshold >= 1:
            limits.append(np.inf)
        elif len(own) < max(_FEWEST_CONTENT, _LEAST_CONTENT_SHARE * len(hashes)):
            own = hashes
            limits.append(max(_SAME_TEXT, threshold))
        else:
            limits.append(threshold)
        signed.append(_signature(own, multiply, add))
    return np.array(signed, np.uint32).reshape(-1, PERMUTATIONS), np.array(limits)


class NearDuplicates:
    """Finds, in order, the documents that nearly repeat one kept before.

    First every signature is added, then every document is asked for. Signatures wait in a file, and only documents that
    agree with another in some band can have a near duplicate: they alone enter datasketch's MinHashLSH, so that memory
    grows by little more than 100 bytes a document. Candidates are verified by the signatures' estimate of the Jaccard
    similarity.

    Source: Broder 1997 (MinHash); Lee et al. 2022, arXiv 2107.06499 (deduplication of training data).

    Args:
        path: file for the signatures; the caller removes it.
        threshold: the lowest similarity that is asked for; the index is tuned to it.
    """

    def __init__(self, path: Path, threshold: float) -> None:
        from datasketch import MinHashLSH

        # False negatives weigh more: false candidates are sorted out by the estimate.
        self._index = MinHashLSH(
            threshold=min(threshold, _SAME_TEXT),
            num_perm=PERMUTATIONS,
            weights=(0.1, 0.9),
            hashfunc=xxh3_64_digest,
        )
        self._path = path
        path.write_bytes(b"")
        self._bands: list[Hashes] = []
        self._limits: list[Thresholds] = []
        self._ids: dict[int, str] = {}

    def add(self, signatures: Signatures, thresholds: Thresholds) -> None:
        """Adds the next documents: signatures (n, 128), thresholds (n,)."""
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(signatures).tobytes())
        self._bands.append(_bands(signatures, self._index.hashranges))
        self._limits.append(thresholds)

    def freeze(self) -> None:
        """Ends the adding."""
        bands = np.concatenate([*self._bands, np.empty((0, len(self._index.hashranges)), np.uint64)])
        self._thresholds = np.concatenate([*self._limits, np.empty(0)])
        self._bands.clear()
        compared = np.isfinite(self._thresholds)
        self._suspect = np.zeros(len(bands), np.bool_)
        for band in bands.T:
            ordered = np.sort(band[compared])
            self._suspect |= compared & np.isin(band, ordered[1:][ordered[1:] == ordered[:-1]])
        if self._suspect.any():
            self._signatures = np.memmap(self._path, np.uint32, "r", shape=(len(bands), PERMUTATIONS))

    def find_or_keep(self, row: int, id: str) -> tuple[str, float] | None:
        """The id of the kept document that this one repeats and their similarity; else the document is kept.

        Args:
            row: place of the document among those added; rows are asked for in ascending order.
            id: its id.
        """
        if not self._suspect[row]:
            return None
        signature = self._signatures[row]
        hashed = _minhash(signature)
        candidates = np.array(sorted(self._index.query(hashed)), np.int64)
        if len(candidates):
            similarity = (self._signatures[candidates] == signature).mean(axis=1)
            best = int(similarity.argmax())
            if similarity[best] >= self._thresholds[row]:
                return self._ids[int(candidates[best])], float(similarity[best])
        self._ids[row] = id
        self._index.insert(row, hashed, check_duplication=False)
        return None


def _bands(signatures: Signatures, ranges: list[tuple[int, int]]) -> Hashes:
    """A hash of each band of each signature; equal bands have equal hashes."""
    return np.stack([mix(signatures[:, start:end].astype(np.uint64)) for start, end in ranges], axis=1)


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
