"""The seam for whatever turns a document into question-answer pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tasks.records import BadInput, Document, QAPair, Reject


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an extractor made of one document.

    Args:
        cost: dollars it took; 0 for rules.
    """

    pairs: list[QAPair]
    rejects: list[Reject]
    cost: float = 0.0

    def of(self, document_id: str) -> Extraction:
        """The same work as that of another document with the same text: ids are made from the document's."""
        return Extraction(
            [
                replace(pair, id=f"{document_id}#{number}", document_id=document_id)
                for number, pair in enumerate(self.pairs)
            ],
            [replace(reject, id=document_id) for reject in self.rejects],
            self.cost,
        )


class Work(Protocol):
    """What makes two extractions of a text the same work."""

    @property
    def name(self) -> str:
        """Name and version; another version is other work."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes what it gives, JSON-serialisable."""


class Extractor(Work, Protocol):
    """Turns documents into pairs. Made on the worker that uses it, by `make_extractor`."""

    def extract(self, document: Document) -> Extraction:
        """Pairs with the characters of their answers, and what was found but is no pair."""


def make_extractor(spec: str) -> Extractor:
    """An extractor from its name, which travels to workers in its place.

    Raises:
        BadInput: there is no such extractor.
    """
    if spec != "rules":
        raise BadInput(f"--extractor {spec}: there is no such extractor; use rules")
    from tasks.extract.rules.extractor import RuleExtractor

    return RuleExtractor()


def work_key(extractor: Work, text: str) -> str:
    """What makes an extraction the same work: extractor, settings and text, not the document's id."""
    parts = json.dumps([extractor.name, dict(extractor.settings), text], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()
