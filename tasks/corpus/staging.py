"""The passes over a corpus that do not fit in one: documents wait in a file, their hashes are made by a mapper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.duplicates import NearDuplicates, Signed, sign
from tasks.corpus.template import DocumentFrequency, Template, shingles
from tasks.corpus.tokens import count_tokens
from tasks.corpus.words import Hashes, hash_words
from tasks.records import Document
from tasks.run.parallel import Mapper
from tasks.storage.tables import CORPUS, TableWriter, iterate_rows

_BATCH_DOCUMENTS = 256
_BATCH_CHARACTERS = 1 << 20

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Examine:
    """What a worker does with a batch of texts in the second pass."""

    template: Template
    decontaminator: Decontaminator
    threshold: float

    def __call__(self, texts: list[str]) -> tuple[list[str | None], Signed]:
        """The texts' overlaps with the test part, and what they are compared by."""
        batch = hash_words(texts)
        return self.decontaminator.overlaps_of(batch), sign(shingles(batch), self.template, self.threshold)


def stage(
    documents: Iterable[Document], path: Path, mapper: Mapper, report: Callable[[int], None]
) -> Template:
    """First pass: writes the documents to `path` and counts in how many of them each shingle occurs.

    Returns:
        The shingles that are template.
    """
    frequency = DocumentFrequency()
    # Small row groups: a later pass holds one of them in memory.
    with TableWriter(path, CORPUS, rows_per_group=_BATCH_DOCUMENTS) as table:

        def written() -> Iterator[str]:
            for document in documents:
                table.write(
                    {
                        "id": document.id,
                        "text": document.text,
                        "source": document.source,
                        "tokens": count_tokens(document.text),
                        "parent": document.parent,
                        "origin": document.origin,
                        "metadata": json.dumps(document.metadata),
                    }
                )
                yield document.text

        for hashes, count in mapper(_shingles, _batches(written())):
            frequency.add(hashes, count)
            report(frequency.documents)
    return frequency.template()


def compare(
    path: Path, examine: Examine, near: NearDuplicates, mapper: Mapper, report: Callable[[int], None]
) -> dict[int, str]:
    """Second pass: gives `near` what the staged documents are compared by.

    Returns:
        Row -> words shared with the test part, for the rows that share some.
    """
    overlaps: dict[int, str] = {}
    done = 0
    texts = (row["text"] for row in iterate_rows(path, ["text"], batch=_BATCH_DOCUMENTS))
    for found, signed in mapper(examine, _batches(texts)):
        overlaps.update((done + place, words) for place, words in enumerate(found) if words is not None)
        near.add(signed)
        done += len(found)
        report(done)
    near.freeze()
    return overlaps


def staged_rows(path: Path) -> Iterator[Row]:
    """The staged documents as rows of `tables.CORPUS`."""
    return iterate_rows(path, batch=_BATCH_DOCUMENTS)


def _shingles(texts: list[str]) -> tuple[Hashes, int]:
    """The distinct shingles of each text in one array, which travels faster than many; and how many texts."""
    return np.concatenate(shingles(hash_words(texts))), len(texts)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in groups that are small in number and in size."""
    held: list[str] = []
    characters = 0
    for text in texts:
        held.append(text)
        characters += len(text)
        if len(held) == _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield held
            held, characters = [], 0
    if held:
        yield held
