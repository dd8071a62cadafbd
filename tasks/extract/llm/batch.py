"""Extraction of many documents by a model, with the store that remembers every document beside the one of replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from tasks.extract.batch import ExtractedDocument, ExtractionJob, Order
from tasks.extract.extractor import Extraction
from tasks.extract.llm.extractor import LLMExtractor
from tasks.extract.store import ExtractionStore
from tasks.records import Reject

DOCUMENTS_AT_ONCE = 2048  # whose texts are in memory: enough to keep every request slot busy

Asked = Callable[[Sequence[tuple[str, str]]], Coroutine[Any, Any, list[Extraction | Reject]]]


def ask_documents(
    documents: Iterable[tuple[str, str]],
    extractor: LLMExtractor,
    ask: Asked,
    store: str,
    payer: str = "",
    at_once: int | None = DOCUMENTS_AT_ONCE,
) -> Iterator[ExtractedDocument]:
    """Extract documents by a model, in their order. What the store of extractions holds is not asked again.

    Requests are waiting, not work, so they need no workers: one event loop of this process has as many under way as the
    limits allow. A kill costs these; every reply before is in the store of replies.

    Args:
        documents: (id, text), read as they are needed.
        ask: what comes of each of some documents, by the model.
        payer: the run that pays.
        at_once: documents that are asked about together, and held in memory; None for all.

    Raises:
        Stopped, BadInput: nothing more can be asked.
    """
    source = iter(documents)
    with ExtractionStore(store) as held:
        for chunk in iter(lambda: list(islice(source, at_once)), []):
            order = Order.of(ExtractionJob("llm", store, chunk, payer), extractor, held)
            missing = list(order.missing.values())
            made = asyncio.run(ask(missing)) if missing else []
            yield from order.fill(iter(made), extractor.name, held)
