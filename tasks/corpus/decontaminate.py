"""Finds documents that share a run of words with the test part of a target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tasks.corpus.words import Hashes, Words, hash_words
from tasks.records import Example

_FEWEST_WORDS = 8


class Decontaminator:
    """Tells whether a text contains n consecutive words of a test example (question and answer in one).

    Words are casefolded runs of letters and digits. A question of fewer than n but at least 8 words is looked for as a
    whole, and so is a whole example of that size, since no run of n words may lie within either. A shorter example
    cannot be tested: its words stand in too many texts by chance. Small and picklable, so that it can travel to workers.

    Source: n-gram overlap as in Brown et al. 2020 (arXiv 2005.14165), appendix C, with n = 13.

    Args:
        examples: the test part.
        n: words of a run that count as overlap.

    Attributes:
        untestable: examples that are too short.
    """

    def __init__(self, examples: Iterable[Example], n: int = 13) -> None:
        examples = list(examples)
        wholes = [f"{example.question}\n{example.answer}" for example in examples]
        batch = hash_words([*wholes, *(example.question for example in examples)])
        sizes = np.diff(batch.starts)
        self.untestable = int((sizes[: len(examples)] < min(n, _FEWEST_WORDS)).sum())
        self._runs: dict[int, Hashes] = {}
        for length in sorted({n, *sizes[(sizes >= _FEWEST_WORDS) & (sizes < n)].tolist()}):
            hashes, text, _ = batch.runs(length)
            own = hashes if length == n else hashes[sizes[text] == length]
            if len(own):
                self._runs[length] = np.unique(own)

    def overlap(self, text: str) -> str | None:
        """The first words the text shares with an example, None if it shares no run."""
        return self.overlaps([text])[0]

    def overlaps(self, texts: Sequence[str]) -> list[str | None]:
        """`overlap` of every text of a batch."""
        return self.overlaps_of(hash_words(texts))

    def overlaps_of(self, batch: Words) -> list[str | None]:
        """`overlap` of texts that are hashed already."""
        found: list[str | None] = [None] * len(batch.texts)
        for length in sorted(self._runs, reverse=True):
            known = self._runs[length]
            hashes, text, start = batch.runs(length)
            place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            hits = np.flatnonzero(known[place] == hashes)
            for hit in hits[np.unique(text[hits], return_index=True)[1]]:
                if found[text[hit]] is None:
                    shared = batch.texts[text[hit]][start[hit] : start[hit] + length]
                    found[text[hit]] = " ".join(shared)
        return found
