"""What is decided about a document alone or by its digest: wanted, long enough, new."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from xxhash import xxh3_64_intdigest

from tasks.corpus.duplicates import exact_key
from tasks.corpus.normalise import normalise
from tasks.records import BadInput, Document, Reject
from tasks.run.tables import TableWriter

_BROKEN = frozenset(
    {"broken JSON", "broken CSV", "broken HTML", "broken Python", "not an object", "no text field", "binary"}
)


@dataclass
class RejectLog:
    """Writes rejects to their table and counts them by reason."""

    table: TableWriter
    counts: Counter[str] = field(default_factory=Counter)
    first_broken: str = ""

    def __call__(self, reject: Reject) -> None:
        self.table.write(
            {"stage": reject.stage, "reason": reject.reason, "id": reject.id, "detail": reject.detail}
        )
        self.counts[reject.reason] += 1
        if reject.reason in _BROKEN and not self.first_broken:
            self.first_broken = f"{reject.detail or reject.id} ({reject.reason})"

    def check_broken(self, read: int, max_broken: float) -> None:
        """Stops when too many records could not be read.

        Args:
            read: records that could be read.
            max_broken: share of all records that may be unreadable.

        Raises:
            BadInput: more than that; names the first one.
        """
        broken = sum(self.counts[reason] for reason in _BROKEN)
        if broken > max_broken * (read + broken):
            raise BadInput(
                f"{broken} of {read + broken} records cannot be read, first {self.first_broken}; "
                f"mend them, or allow more with --max-broken (now {max_broken:g})"
            )


@dataclass
class Intake:
    """Lets through the documents that are wanted, normalised, each text and each id once; the first one stays.

    Args:
        reject: called for every other document.
        corpus_share: share of the documents to let through, drawn by hash of the id.
        exclude: patterns of ids to leave out, with * and ?.
        min_characters: of a normalised text.
        seed: of the draw.
    """

    reject: RejectLog
    corpus_share: float
    exclude: Sequence[str]
    min_characters: int
    seed: int
    read: int = 0
    ids: set[str] = field(default_factory=set)

    def accept(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents that pass, in order; counts the others."""
        excluded = _pattern(self.exclude)
        first_with: dict[bytes, str] = {}
        for document in documents:
            self.read += 1
            if excluded.fullmatch(document.id):
                self._drop("excluded", document)
            elif xxh3_64_intdigest(document.id.encode(), self.seed) >= self.corpus_share * 2**64:
                self._drop("not in the sample", document)
            elif document.id in self.ids:
                self._drop("duplicate id", document, document.origin)
            elif len(text := normalise(document.text)) < self.min_characters:
                self._drop("too short", document, f"{len(text)} characters")
            elif (first := first_with.setdefault(exact_key(text), document.id)) != document.id:
                self.reject(Reject("deduplicate", "duplicate", document.id, first))
            else:
                self.ids.add(document.id)
                yield replace(document, text=text)

    def _drop(self, reason: str, document: Document, detail: str = "") -> None:
        self.reject(Reject("read", reason, document.id, detail))


def _pattern(exclude: Sequence[str]) -> re.Pattern[str]:
    """A pattern of all patterns; without any, one that matches nothing."""
    alternatives = [re.escape(one).replace(r"\*", ".*").replace(r"\?", ".") for one in exclude]
    return re.compile("|".join(f"(?:{one})" for one in alternatives) or r"(?!)", re.DOTALL)
