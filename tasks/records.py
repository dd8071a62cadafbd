"""The records that travel between stages, and the two ways a run stops with a message instead of a traceback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class BadInput(ValueError):
    """Something the user gave cannot be used. The message is one line: what, where, what to do. Exit code 2."""


class Stopped(RuntimeError):
    """A budget or a service stopped the run; it can be resumed. The message is one line. Exit code 3."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text to select from.

    Args:
        id: unique in the corpus.
        text: normalised text; spans of pairs are character offsets into it.
        source: where the corpus says it is from (a topic, a site); never an input of a selection.
        metadata: the other fields of its record, JSON-serialisable.
        origin: file and line (or row) it was read from, for messages.
        parent: id of the document it was split from, None if it was not split.
    """

    id: str
    text: str
    source: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    origin: str = ""
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Something dropped: at which stage, why, and which id. `detail` says more, for a person.

    Args:
        cost: dollars it took all the same, where a model gave no answer.
    """

    stage: str
    reason: str
    id: str
    detail: str = ""
    cost: float = 0.0

    @property
    def row(self) -> dict[str, str]:
        """As a row of the tables of what was dropped (`tasks.storage.tables.REJECTED`)."""
        return {"stage": self.stage, "reason": self.reason, "id": self.id, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class QAPair:
    """A question and its answer, extracted from the characters start..end of a document.

    Args:
        id: document id, "#", and the number of the pair in it.
        start, end: character offsets in the document's text; the span holds the answer.
        extractor: name and version of the extractor, "rules/2".
        rule: what in the extractor found it ("problem-solution"), or the model's name.
        prompt_hash: hash of the prompt that asked for it; empty for rules.
    """

    id: str
    document_id: str
    start: int
    end: int
    question: str
    answer: str
    extractor: str
    rule: str = ""
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One example of the task the user cares about.

    Args:
        id: unique in its file.
        question, answer: the text of both; of a plain text the question is "".
        group: examples of one group (say, of one function's docstring) stay on one side of a split.
    """

    id: str
    question: str
    answer: str
    group: str = ""
