"""Turns sources into the corpus of a run: one Parquet file of documents, one of what was dropped and why."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.duplicates import DocumentFrequency, NearDuplicates, Signatures, Template, Thresholds
from tasks.corpus.duplicates import shingles as shingles_of
from tasks.corpus.duplicates import signatures as sign
from tasks.corpus.intake import Intake, RejectLog
from tasks.corpus.read import Fields, read_documents
from tasks.corpus.split import split_document
from tasks.corpus.tokens import count_tokens
from tasks.corpus.words import Hashes, hash_words
from tasks.records import BadInput, Document, Example, Reject
from tasks.run.parallel import Mapper, serial
from tasks.run.seeds import integer
from tasks.run.tables import CORPUS, REJECTED, TableWriter, iterate_rows

_BATCH_DOCUMENTS = 256
_BATCH_CHARACTERS = 1 << 20

Row = dict[str, Any]
Progress = Callable[[str, int], None]
Examined = tuple[list[str | None], Signatures, Thresholds]


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """What became of the sources.

    Args:
        documents: rows written (a document that was split counts once per part).
        tokens: of these, by `count_tokens`.
        rejected: reason -> how many were dropped for it.
    """

    documents: int
    tokens: int
    rejected: dict[str, int]


def prepare_corpus(
    sources: Sequence[str],
    fields: Fields,
    test: Sequence[Example],
    output: Path,
    rejected: Path,
    *,
    corpus_share: float = 1.0,
    exclude: Sequence[str] = (),
    min_characters: int = 40,
    max_tokens: int = 4096,
    near_duplicates: float = 0.8,
    decontamination_ngram: int = 13,
    max_broken: float = 0.01,
    seed: int = 0,
    mapper: Mapper = serial,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Reads, normalises, deduplicates, decontaminates and splits the documents of all sources.

    Two passes, because what is template is known only when every document was seen: the first writes normalised
    documents to a file beside `output` and counts in how many documents each shingle occurs, the second compares.
    In memory are ids, digests and the index of signatures, never the texts.

    Args:
        sources: as for `read_documents`.
        fields: names of the fields of records.
        test: examples that no document may contain.
        output: Parquet file to write, `tables.CORPUS`, in the sources' order.
        rejected: Parquet file to write, `tables.REJECTED`.
        corpus_share: share of the documents to use, drawn by hash of the id.
        exclude: patterns of ids to leave out, with * and ?.
        min_characters: shorter documents are dropped.
        max_tokens: longer documents are split.
        near_duplicates: Jaccard similarity of content shingles from which a document is dropped; 1 keeps them all.
        decontamination_ngram: words in a row shared with a test example for which a document is dropped.
        max_broken: share of records that may be unreadable.
        seed: of the draw.
        mapper: runs the hashing, here or on workers.
        progress: called with "read" or "compare" and the documents done in it so far.

    Raises:
        BadInput: see `read_documents`; too many broken records; nothing left.
    """
    report = progress or (lambda stage, done: None)
    staged = output.with_name(f".{output.stem}.staged.parquet")
    try:
        with TableWriter(rejected, REJECTED) as dropped, TableWriter(output, CORPUS) as kept:
            reject = RejectLog(dropped)
            intake = Intake(reject, corpus_share, exclude, min_characters, integer(seed, "corpus sample"))
            documents = intake.accept(read_documents(sources, fields, reject))
            template = _stage(documents, staged, mapper, report)
            reject.check_broken(intake.read, max_broken)

            near = NearDuplicates(near_duplicates) if near_duplicates < 1 else None
            decontaminator = Decontaminator(test, decontamination_ngram)
            examine = partial(
                _examine, template=template, decontaminator=decontaminator, threshold=near_duplicates
            )
            tokens = 0
            for row, overlap, signature, threshold in _examined(staged, examine, mapper, report):
                if overlap is not None and count_tokens(row["text"]) <= max_tokens:
                    reject(Reject("decontaminate", "contaminated", row["id"], overlap))
                    continue
                same = near.find_or_keep(row["id"], signature, threshold) if near else None
                if same:
                    reject(Reject("deduplicate", "near duplicate", row["id"], f"{same[0]} ({same[1]:.2f})"))
                    continue
                for part in _parts(row, max_tokens, intake.ids, decontaminator, reject):
                    kept.write(part)
                    tokens += part["tokens"]
            if not kept.rows:
                reasons = ", ".join(f"{reason}: {count}" for reason, count in reject.counts.most_common())
                raise BadInput(
                    f"--corpus: no documents left of {', '.join(sources)} ({reasons or 'it is empty'})"
                )
    finally:
        staged.unlink(missing_ok=True)
    return CorpusSummary(kept.rows, tokens, dict(reject.counts.most_common()))


def _stage(documents: Iterable[Document], path: Path, mapper: Mapper, report: Progress) -> Template:
    """First pass: the documents written to `path`, their shingles counted."""
    frequency = DocumentFrequency()
    # Small row groups: the second pass holds one of them in memory.
    with TableWriter(path, CORPUS, rows_per_group=_BATCH_DOCUMENTS) as table:

        def written() -> Iterator[Row]:
            for document in documents:
                row = {
                    "id": document.id,
                    "text": document.text,
                    "source": document.source,
                    "origin": document.origin,
                    "metadata": json.dumps(document.metadata),
                }
                table.write(row)
                yield row

        for hashes in mapper(_shingles, (_texts(batch) for batch in _batches(written()))):
            frequency.add(hashes)
            report("read", frequency.documents)
    return frequency.template()


def _examined(
    path: Path, examine: Callable[[list[str]], Examined], mapper: Mapper, report: Progress
) -> Iterator[tuple[Row, str | None, Signatures, float]]:
    """Second pass: each staged row with its overlap with the test part, its signature and its threshold."""
    away: deque[list[Row]] = deque()  # the rows whose texts are with the mapper

    def texts() -> Iterator[list[str]]:
        for batch in _batches(iterate_rows(path, batch=_BATCH_DOCUMENTS)):
            away.append(batch)
            yield _texts(batch)

    done = 0
    for overlaps, signed, thresholds in mapper(examine, texts()):
        rows = away.popleft()
        yield from zip(rows, overlaps, signed, thresholds.tolist(), strict=True)
        done += len(rows)
        report("compare", done)


def _shingles(texts: list[str]) -> list[Hashes]:
    return shingles_of(hash_words(texts))


def _examine(
    texts: list[str], template: Template, decontaminator: Decontaminator, threshold: float
) -> Examined:
    batch = hash_words(texts)
    return decontaminator.overlaps_of(batch), *sign(shingles_of(batch), template, threshold)


def _parts(
    row: Row, max_tokens: int, ids: set[str], decontaminator: Decontaminator, reject: RejectLog
) -> Iterator[Row]:
    """The rows of a document: itself, or its parts without the contaminated ones."""
    parts = split_document(Document(row["id"], row["text"]), max_tokens)
    overlaps = decontaminator.overlaps([part.text for part in parts]) if len(parts) > 1 else [None]
    mark = "#"
    while any(f"{row['id']}{mark}{number}" in ids for number in range(1, len(parts) + 1)):
        mark += "#"  # the corpus has such ids of its own
    for number, (part, overlap) in enumerate(zip(parts, overlaps, strict=True), start=1):
        name = part.id if part.parent is None else f"{part.parent}{mark}{number}"
        if overlap is not None:
            reject(Reject("decontaminate", "contaminated", name, overlap))
        else:
            yield {
                **row,
                "id": name,
                "text": part.text,
                "parent": part.parent,
                "tokens": count_tokens(part.text),
            }


def _texts(rows: list[Row]) -> list[str]:
    return [row["text"] for row in rows]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in groups that are small in number and in text."""
    held: list[Row] = []
    characters = 0
    for row in rows:
        held.append(row)
        characters += len(row["text"])
        if len(held) == _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield held
            held, characters = [], 0
    if held:
        yield held
