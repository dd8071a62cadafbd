"""Hashes of words and of runs of words, for whole batches of texts at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

Hashes = NDArray[np.uint64]

# Letters and digits; Japanese and Chinese, which write no spaces, give a word per character. Thai, Lao and Khmer fall
# into pieces of a few letters between their vowel and tone marks, which are no letters to Python.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")

_STEP = np.uint64(0x9E3779B97F4A7C15)  # odd, so that every power of it is invertible


def words(text: str) -> list[str]:
    """The casefolded words of a text: runs of letters and digits."""
    return _WORD.findall(text.casefold())


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of n texts, one after the other, as hashes.

    Args:
        texts: the words themselves, per text.
        hashes: (total,) uint64, the same on every machine and in every process.
        starts: (n + 1,) where each text's words start.
    """

    texts: list[list[str]]
    hashes: Hashes
    starts: NDArray[np.int64]

    def runs(self, length: int) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
        """Every run of `length` consecutive words that lies within one text.

        Returns:
            hashes (r,), the text each is from (r,), and the word of the text at which it starts (r,).
        """
        total = len(self.hashes) - length + 1
        if total <= 0:
            nothing = np.empty(0, np.int64)
            return np.empty(0, np.uint64), nothing, nothing
        windows = np.lib.stride_tricks.sliding_window_view(self.hashes, length)
        sizes = np.diff(self.starts)
        text = np.repeat(np.arange(len(sizes)), sizes)
        position = np.arange(total)
        whole = text[:total] == text[length - 1 :]
        text = text[:total][whole]
        return mix(windows)[whole], text, position[whole] - self.starts[text]


def hash_words(texts: Sequence[str]) -> Words:
    """The words of texts, hashed."""
    split = [words(text) for text in texts]
    known = _Vocabulary()
    total = sum(map(len, split))
    hashes = np.fromiter(map(known.__getitem__, chain.from_iterable(split)), np.uint64, total)
    return Words(split, hashes, np.cumsum([0, *map(len, split)], dtype=np.int64))


def mix(columns: Hashes) -> Hashes:
    """One hash of each row of (n, k) values, in which their order matters."""
    # A polynomial in _STEP modulo 2**64, then the finaliser of splitmix64 (Steele et al. 2014) to spread it over all bits.
    values = columns[:, 0].copy()
    for column in columns.T[1:]:
        values *= _STEP
        values += column
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class _Vocabulary(dict[str, int]):
    """Each word of a batch is hashed once."""

    def __missing__(self, word: str) -> int:
        value = self[word] = xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        return value
