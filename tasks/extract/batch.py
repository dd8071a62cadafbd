"""Extraction of many documents: in jobs that Dask workers run, with a store that remembers every document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from tasks.extract.extractor import Extraction, Extractor, Work, make_extractor, work_key
from tasks.extract.store import ExtractionStore
from tasks.records import BadInput, Document, QAPair, Reject, Stopped
from tasks.run.parallel import Mapper, serial


@dataclass(frozen=True, slots=True)
class ExtractionJob:
    """Work for one worker: small, picklable, and complete.

    Args:
        extractor: name for `make_extractor`.
        store: path of the store.
        documents: (id, text) of each.
        payer: the run that pays for what the store does not hold.
    """

    extractor: str
    store: str
    documents: list[tuple[str, str]]
    payer: str = ""


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """What came of one document.

    Args:
        key: of its text with this extractor.
        cached: somebody had paid for it: another payer, or this one for an earlier document with the same text.
        cost: dollars it took whoever paid it; 0 for rules.
    """

    id: str
    key: str
    pairs: list[QAPair]
    rejects: list[Reject]
    cached: bool
    cost: float = 0.0


def extract_documents(
    documents: Iterable[tuple[str, str]],
    extractor: str,
    store: str,
    mapper: Mapper = serial,
    documents_per_job: int = 32,
    payer: str = "",
    distant: bool = False,
) -> Iterator[ExtractedDocument]:
    """Extract documents through a mapper, in their order.

    Workers commit each document to the store as soon as it is done. Distant ones, on other machines, send back what
    they found, and this process commits it: SQLite's locks do not reach across a network. A kill then costs the jobs
    in flight.

    Args:
        documents: (id, text), read as they are needed.
        mapper: runs the jobs, here or on workers.
        documents_per_job: a worker's unit of work.
        payer: the run that pays.
        distant: the mapper's workers do not reach the store.
    """
    source = iter(documents)
    jobs = (
        ExtractionJob(extractor, store, chunk, payer)
        for chunk in iter(lambda: list(islice(source, documents_per_job)), [])
    )
    done: set[str] = set()
    # Held open here because SQLite writes its log back whenever the last connection closes: once, not once a job.
    with ExtractionStore(store) as held:
        batches: Iterator[Iterable[ExtractedDocument]] = (
            _from_afar(jobs, make_extractor(extractor), mapper, held)
            if distant
            else mapper(extract_batch, jobs)
        )
        for batch in batches:
            for document in batch:
                # Equal texts side by side in two jobs are both extracted; that a resumed run may find them changes
                # nothing in what it reports.
                yield replace(document, cached=True) if document.key in done else document
                done.add(document.key)


def extract_batch(job: ExtractionJob) -> list[ExtractedDocument]:
    """Extract what the store does not hold, and commit each document as soon as it is done.

    An extractor that fails on a document costs that document: a reject, and nothing stored, so that a later run tries
    it again.

    Raises:
        BadInput, Stopped: nothing further can be extracted, say because a budget is spent.
    """
    extractor = make_extractor(job.extractor)
    with ExtractionStore(job.store) as store:
        order = Order.of(job, extractor, store)
        return list(order.fill(_attempts(extractor, order.missing.values()), extractor.name, store))


def extract_texts(job: ExtractionJob) -> tuple[list[Extraction | Reject], BadInput | Stopped | None]:
    """Extract documents without a store. Returns what came of each, and what stopped the work before its end."""
    made: list[Extraction | Reject] = []
    try:
        for result in _attempts(make_extractor(job.extractor), job.documents):
            made.append(result)  # noqa: PERF402 - what was made before a stop is kept
    except (BadInput, Stopped) as stop:
        return made, stop
    return made, None


def _from_afar(
    jobs: Iterable[ExtractionJob], extractor: Extractor, mapper: Mapper, store: ExtractionStore
) -> Iterator[Iterator[ExtractedDocument]]:
    """Jobs whose missing documents workers extract, and whose store is read and written here."""
    orders: deque[Order] = deque()

    def missing() -> Iterator[ExtractionJob]:
        for job in jobs:
            orders.append(Order.of(job, extractor, store))
            yield replace(job, documents=list(orders[-1].missing.values()))

    for made, stop in mapper(extract_texts, missing()):
        yield orders.popleft().fill(_or_stop(made, stop), extractor.name, store)


def _or_stop(
    made: list[Extraction | Reject], stop: BadInput | Stopped | None
) -> Iterator[Extraction | Reject]:
    yield from made
    if stop is not None:
        raise stop


@dataclass(frozen=True, slots=True)
class Order:
    """A job as the store sees it.

    Args:
        keys: of the job's documents.
        known: what the store holds, by key.
        own: keys of it that the job's payer has paid for.
        missing: the first document of every other key, in order.
    """

    job: ExtractionJob
    keys: list[str]
    known: dict[str, Extraction]
    own: set[str]
    missing: dict[str, tuple[str, str]]

    @classmethod
    def of(cls, job: ExtractionJob, extractor: Work, store: ExtractionStore) -> Order:
        keys = [work_key(extractor, text) for _, text in job.documents]
        known = store.get_many(keys)
        missing: dict[str, tuple[str, str]] = {}
        for key, document in zip(keys, job.documents, strict=True):
            if key not in known:
                missing.setdefault(key, document)
        # A payer that was killed and asks again has paid for what it finds.
        return cls(job, keys, known, store.paid_by(job.payer, list(known)), missing)

    def fill(
        self, made: Iterator[Extraction | Reject], extractor: str, store: ExtractionStore
    ) -> Iterator[ExtractedDocument]:
        """The job's documents, with what is made of the missing ones committed one by one."""
        found: dict[str, Extraction | Reject] = dict(self.known)
        for (document_id, _), key in zip(self.job.documents, self.keys, strict=True):
            if key not in found:
                found[key] = new = next(made)
                if isinstance(new, Extraction):
                    store.put(key, new, extractor, self.job.payer)
            result, cached = found[key], key in self.known and key not in self.own
            if isinstance(result, Reject):
                yield ExtractedDocument(
                    document_id, key, [], [replace(result, id=document_id)], False, result.cost
                )
            else:
                mine = result.of(document_id)
                yield ExtractedDocument(document_id, key, mine.pairs, mine.rejects, cached, mine.cost)


def _attempts(extractor: Extractor, documents: Iterable[tuple[str, str]]) -> Iterator[Extraction | Reject]:
    """What comes of each document; a failure of the extractor is a reject."""
    for document_id, text in documents:
        made: Extraction | Reject
        try:
            made = extractor.extract(Document(document_id, text))
        except (BadInput, Stopped):
            raise
        except Exception as error:
            detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            made = Reject("extract", "extractor failed", document_id, detail)
        yield made
