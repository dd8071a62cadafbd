"""Reading documents: their text to the extractor, its pairs through the filter, the kept pairs to vectors, the cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import Any

from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.target import Target
from tasks.extract.batch import ExtractedDocument, extract_documents
from tasks.extract.extractor import Extraction
from tasks.extract.filter import PairFilter
from tasks.extract.llm.batch import DOCUMENTS_AT_ONCE, ask_documents
from tasks.extract.llm.extractor import LLMExtractor
from tasks.llm.settings import asked_model, asking, requests_path
from tasks.llm.store import RequestStore, Spending
from tasks.loop.settings import EqualSettings
from tasks.prepare.documents import read_documents
from tasks.prepare.vectors import frozen_encoder, pair_text
from tasks.records import QAPair, Reject
from tasks.run import terminal
from tasks.run.costs import Ledger
from tasks.run.folder import payer_of
from tasks.run.parallel import current_mapper
from tasks.select.encode import encode_texts
from tasks.storage.arrays import save_array
from tasks.storage.tables import PAIRS, READS, REJECTED, iterate_rows, write_table

Facts = dict[str, Any]

DOCUMENTS_PER_JOB = 16


def round_folder(folder: Path, number: int) -> Path:
    return folder / f"rounds/{number:02d}"


def extract_rows(run: Path, folder: Path, settings: EqualSettings, number: int, rows: Sequence[int]) -> Facts:
    """Hand documents to the extractor, once each, and keep what passes the filter.

    Writes in the round's folder: reads.parquet (a row per document), extracted.parquet (kept pairs, not yet rewarded),
    vectors.npy (of the kept pairs, in the encoder's space) and rejected.parquet.

    Args:
        folder: the run's folder, or that of a strategy it is compared with.
        rows: rows of the corpus table, in reading order.
    """
    at = round_folder(folder, number)
    documents, extracting = tee(read_documents(run, rows))
    keep = PairFilter(
        Decontaminator(Target.load(run / "target").test, settings.decontamination_ngram).overlaps,
        min_answer_characters=settings.min_answer_characters,
        max_pairs_per_document=settings.max_pairs_per_document,
        seen=_kept_before(folder, number),
    )
    paid = settings.extractor == "llm"
    pairs: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    reads: list[dict[str, Any]] = []
    extractions = _extract(run, settings, at, ((document["id"], document["text"]) for document in extracting))
    for row, document, extracted in zip(rows, documents, extractions, strict=True):
        kept, dropped = keep.split(extracted.pairs)
        rejects += [*extracted.rejects, *dropped]
        pairs += [_pair_row(pair, document["source"], number) for pair in kept]
        reads.append(
            {
                "row": row,
                "document_id": document["id"],
                "tokens": document["tokens"],
                "pairs": len(kept),
                "cached": extracted.cached,
                "cost": extracted.cost if paid else document["tokens"] * settings.price / 1e6,
            }
        )
    write_table(at / "extracted.parquet", pairs, PAIRS)
    write_table(at / "reads.parquet", reads, READS)
    write_table(at / "rejected.parquet", (reject.row for reject in rejects), REJECTED)
    texts = [pair_text(pair["question"], pair["answer"]) for pair in pairs]
    save_array(at / "vectors.npy", encode_texts(frozen_encoder(run, settings), texts))
    return {
        "files": [
            f"{at.relative_to(run)}/{name}"
            for name in ("extracted.parquet", "reads.parquet", "rejected.parquet", "vectors.npy")
        ],
        "documents": len(reads),
        "pairs": len(pairs),
        **_enter_cost(run, folder, settings, number, reads, len(pairs)),
    }


def extracted_pairs(folder: Path, first: int, last: int) -> Iterator[tuple[str, str]]:
    """(question, answer) of the pairs that rounds first..last of a folder extracted, in order."""
    for number in range(first, last + 1):
        path = round_folder(folder, number) / "extracted.parquet"
        for row in iterate_rows(path, ["question", "answer"]):
            yield row["question"], row["answer"]


def _extract(
    run: Path, settings: EqualSettings, at: Path, documents: Iterator[tuple[str, str]]
) -> Iterator[ExtractedDocument]:
    """Documents through the settings' extractor: rules on the workers, or a model that is asked from here."""
    payer, store = f"{payer_of(run)}/{at.relative_to(run)}", str(store_path(settings))
    if settings.extractor == "rules":
        return extract_documents(
            documents,
            settings.extractor,
            store,
            current_mapper(),
            documents_per_job=DOCUMENTS_PER_JOB,
            payer=payer,
            distant=bool(settings.scheduler),
        )
    extractor = llm_extractor(settings)

    async def ask(missing: Sequence[tuple[str, str]]) -> list[Extraction | Reject]:
        with RequestStore(requests_path(settings)) as replies:
            async with asking(settings, replies, run, stage=stage_of(run, at)) as asker:
                return await extractor.extract(
                    asker, missing, lambda done: terminal.current().progress("documents read", done)
                )

    at_once = None if settings.llm_batch else DOCUMENTS_AT_ONCE
    return ask_documents(documents, extractor, ask, store, payer, at_once)


def llm_extractor(settings: EqualSettings) -> LLMExtractor:
    return LLMExtractor(
        asked_model(settings, settings.model),
        settings.parameters(),
        settings.refine,
        settings.documents_per_request,
        settings.tokens_per_request,
    )


def stage_of(run: Path, at: Path) -> str:
    """What a round's requests are entered under in the account of the store of replies."""
    return f"extract {at.relative_to(run)}"


def store_path(settings: EqualSettings) -> Path:
    """The store of extractions, shared by all runs in the folder of runs: what one has read, none reads again."""
    return Path(settings.runs_dir).expanduser().resolve() / "extractions.sqlite"


def _pair_row(pair: QAPair, source: str | None, number: int) -> dict[str, Any]:
    return {
        "id": pair.id,
        "document_id": pair.document_id,
        "start": pair.start,
        "end": pair.end,
        "question": pair.question,
        "answer": pair.answer,
        "extractor": pair.extractor,
        "rule": pair.rule,
        "prompt_hash": pair.prompt_hash,
        "source": source,
        "round": number,
        "decision": "kept",
        "reason": "",
    }


def _kept_before(folder: Path, number: int) -> Iterator[QAPair]:
    columns = ["id", "document_id", "start", "end", "question", "answer", "extractor"]
    for earlier in range(number):
        yield from (
            QAPair(**row)
            for row in iterate_rows(round_folder(folder, earlier) / "extracted.parquet", columns)
        )


def _enter_cost(
    run: Path,
    folder: Path,
    settings: EqualSettings,
    number: int,
    reads: Sequence[dict[str, Any]],
    pairs: int,
) -> dict[str, float]:
    """Enter a round's reading in the ledger; a round that runs again after a crash replaces its line."""
    tokens, cost = (sum(read[field] for read in reads) for field in ("tokens", "cost"))
    paid, requests = 0.0, Spending()  # rules are free
    if settings.extractor == "llm":
        with RequestStore(requests_path(settings)) as replies:
            requests = replies.spending(payer_of(run), stage_of(run, round_folder(folder, number)))
        paid = requests.cost  # also for documents that came to nothing
    ledger = Ledger(folder / "costs.jsonl")
    ledger.replace_round(number)
    ledger.append(
        number,
        "extract",
        documents=len(reads),
        tokens=tokens,
        cached_documents=sum(read["cached"] for read in reads),
        pairs=pairs,
        cost=cost,
        cost_paid=paid,
        **requests.counts,
    )
    return {"tokens": tokens, "cost": cost}
