"""Extraction of many documents: in jobs that Dask workers run, with a store that remembers every document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tasks.extract.extractor import Extraction, make_extractor, work_key
from tasks.extract.store import ExtractionStore
from tasks.records import BadInput, Document, QAPair, Reject, Stopped
from tasks.run.parallel import Mapper, serial


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """Work for one worker: small, picklable, and complete.

    Args:
        extractor: name for `make_extractor`.
        store: path of the store.
        payer: the run that pays for what the store does not hold.
        documents: (id, text) of each.
        settings: of the extractor.
    """

    extractor: str
    store: str
    documents: list[tuple[str, str]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    payer: str = ""


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """What came of one document; `cached` says that another payer had paid for it."""

    id: str
    pairs: list[QAPair]
    rejects: list[Reject]
    cached: bool


def extract_batch(job: ExtractionJob) -> list[ExtractedDocument]:
    """Extract what the store does not hold, and commit each document as soon as it is done.

    An extractor that fails on a document costs that document: a reject, and nothing stored, so that a later run tries
    it again.

    Raises:
        BadInput, Stopped: nothing further can be extracted, say because a budget is spent.
    """
    extractor = make_extractor(job.extractor, **job.settings)
    keys = [work_key(extractor, text) for _, text in job.documents]
    results = []
    with ExtractionStore(job.store) as store:
        known = store.get_many(keys)
        # A payer that was killed and asks again has paid for what it finds.
        own = store.paid_by(job.payer, list(known))
        for (document_id, text), key in zip(job.documents, keys, strict=True):
            cached = key in known and key not in own
            if key not in known:
                try:
                    known[key] = extractor.extract(Document(document_id, text))
                except (BadInput, Stopped):
                    raise
                except Exception as error:
                    results.append(_failed(document_id, error))
                    continue
                store.put(key, known[key], extractor.name, job.payer)
            extraction: Extraction = known[key].of(document_id)
            results.append(ExtractedDocument(document_id, extraction.pairs, extraction.rejects, cached))
    return results


def extract_documents(
    documents: Iterable[tuple[str, str]],
    extractor: str,
    store: str,
    mapper: Mapper = serial,
    settings: Mapping[str, Any] | None = None,
    documents_per_job: int = 32,
    payer: str = "",
) -> Iterator[ExtractedDocument]:
    """Extract documents through a mapper, in their order.

    Args:
        documents: (id, text), read as they are needed.
        mapper: runs the jobs, here or on workers.
        documents_per_job: a worker's unit of work.
        payer: the run that pays.
    """
    source = iter(documents)
    jobs = (
        ExtractionJob(extractor, store, chunk, settings or {}, payer)
        for chunk in iter(lambda: list(islice(source, documents_per_job)), [])
    )
    # Held open here because SQLite writes its log back whenever the last connection closes: once, not once a job.
    with ExtractionStore(store):
        for batch in mapper(extract_batch, jobs):
            yield from batch


def _failed(document_id: str, error: Exception) -> ExtractedDocument:
    detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return ExtractedDocument(
        document_id, [], [Reject("extract", "extractor failed", document_id, detail)], False
    )
