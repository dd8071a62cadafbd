"""Turns sources into the corpus of a run: one Parquet file of documents, one of what was dropped and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.duplicates import NearDuplicates
from tasks.corpus.formats import given_with
from tasks.corpus.intake import Intake, RejectLog
from tasks.corpus.read import Fields, read_documents
from tasks.corpus.sources import resolve
from tasks.corpus.staging import Examine, compare, stage, staged_rows
from tasks.records import BadInput, Example, Reject
from tasks.run.parallel import Mapper, serial
from tasks.run.seeds import integer
from tasks.storage.tables import CORPUS, REJECTED, TableWriter


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """What became of the sources.

    Args:
        documents: rows written (a document that was split counts once per part).
        tokens: of these, by `count_tokens`.
        rejected: reason -> how many were dropped for it.
        untestable: test examples too short to look for.
    """

    documents: int
    tokens: int
    rejected: dict[str, int]
    untestable: int


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
    progress: Callable[[str, int], None] | None = None,
) -> CorpusSummary:
    """Reads, splits, normalises, deduplicates and decontaminates the documents of all sources.

    A part of a long document is a document in every respect, so it is cut before anything is counted, compared or
    dropped. What is template is known only when every document was seen, so documents wait in a file beside `output`.
    In memory are ids and digests, never the texts.

    Args:
        sources: as for `read_documents`.
        fields: names of the fields of records.
        test: examples that no document may contain.
        output: Parquet file to write, `tables.CORPUS`, in the sources' order.
        rejected: Parquet file to write, `tables.REJECTED`.
        corpus_share: share of the documents to use, drawn by hash of the id.
        exclude: patterns of ids to leave out, with * and ?.
        min_characters: shorter documents and parts are dropped.
        max_tokens: longer documents are split.
        near_duplicates: Jaccard similarity of content shingles from which a document is dropped; 1 keeps them all.
        decontamination_ngram: words in a row shared with a test example for which a document is dropped.
        max_broken: share of records that may be unreadable.
        seed: of the draw.
        mapper: runs what takes time (parsing Python, hashing), here or on workers.
        progress: called with "read" or "compare" and the documents done in it so far.

    Raises:
        BadInput: see `read_documents`; too many broken records; nothing left.
    """
    report = progress or (lambda stage, done: None)
    staged, signed = (output.with_name(f".{output.stem}.{name}.staged") for name in ("texts", "signatures"))
    try:
        with TableWriter(rejected, REJECTED) as dropped, TableWriter(output, CORPUS) as kept:
            reject = RejectLog(dropped)
            intake = _intake(reject, corpus_share, exclude, min_characters, max_tokens, seed)
            documents = intake.accept(read_documents(sources, fields, reject, mapper))
            template = stage(documents, staged, mapper, lambda done: report("read", done))
            reject.check_broken(intake.read, max_broken)

            near = NearDuplicates(signed, near_duplicates)
            decontaminator = Decontaminator(test, decontamination_ngram)
            examine = Examine(template, decontaminator, near_duplicates)
            overlaps = compare(staged, examine, near, mapper, lambda done: report("compare", done))

            tokens = 0
            for number, row in enumerate(staged_rows(staged)):
                if number in overlaps:
                    reject(Reject("decontaminate", "contaminated", row["id"], overlaps[number]))
                elif same := near.find_or_keep(number, row["id"]):
                    detail = f"like {same[0]}, similarity {same[1]:.2f}"
                    reject(Reject("deduplicate", "near duplicate", row["id"], detail))
                else:
                    kept.write(row)
                    tokens += row["tokens"]
            if not kept.rows:
                raise _nothing_left(sources, reject)
    finally:
        staged.unlink(missing_ok=True)
        signed.unlink(missing_ok=True)
    return CorpusSummary(kept.rows, tokens, dict(reject.counts.most_common()), decontaminator.untestable)


@given_with("--corpus")
def check_documents(
    sources: Sequence[str],
    fields: Fields,
    *,
    corpus_share: float,
    exclude: Sequence[str],
    min_characters: int,
    max_tokens: int,
    max_broken: float,
    seed: int,
) -> None:
    """Whether there is a document at all that can be used: reads until the first, so of most corpora next to nothing.

    Data sets on the hub and saved ones are only looked at when they are read.

    Args:
        As of `prepare_corpus`.

    Raises:
        BadInput: there is none.
    """
    if any(source.kind in ("hub", "saved") for source in resolve(sources)):
        return
    reject = RejectLog()
    intake = _intake(reject, corpus_share, exclude, min_characters, max_tokens, seed)
    if next(intake.accept(read_documents(sources, fields, reject)), None) is None:
        reject.check_broken(intake.read, max_broken)
        raise _nothing_left(sources, reject)


def _intake(
    reject: RejectLog,
    corpus_share: float,
    exclude: Sequence[str],
    min_characters: int,
    max_tokens: int,
    seed: int,
) -> Intake:
    return Intake(reject, corpus_share, exclude, min_characters, max_tokens, integer(seed, "corpus sample"))


def _nothing_left(sources: Sequence[str], reject: RejectLog) -> BadInput:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in reject.counts.most_common())
    return BadInput(f"--corpus: no documents left of {', '.join(sources)} ({reasons or 'it is empty'})")
