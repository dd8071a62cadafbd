"""What is decided about a document alone or by its digest: wanted, cut to size, long enough, new."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from xxhash import xxh3_64_intdigest

from tasks.corpus.duplicates import exact_key
from tasks.corpus.normalise import normalise
from tasks.corpus.rows import check_broken
from tasks.corpus.split import split_document
from tasks.records import Document, Reject
from tasks.storage.tables import TableWriter

_BROKEN = frozenset(
    {
        "broken JSON",
        "broken CSV",
        "broken HTML",
        "broken Python",
        "broken value",
        "not an object",
        "no text field",
        "binary",
        "unreadable",
    }
)


@dataclass
class RejectLog:
    """Counts rejects by reason, and writes them to their table, if there is one."""

    table: TableWriter | None = None
    counts: Counter[str] = field(default_factory=Counter)
    first_broken: str = ""

    def __call__(self, reject: Reject) -> None:
        if self.table:
            self.table.write(reject.row)
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
        check_broken(broken, read, self.first_broken, max_broken, "--corpus: ")


@dataclass
class Intake:
    """Lets through the documents that are wanted, split and normalised, each text once; the first one stays.

    A document whose id is taken by another text gets its file and line added to it: shards often count from 0 each.

    Args:
        reject: called for every other document.
        corpus_share: share of the documents to let through, drawn by hash of the id.
        exclude: patterns of ids to leave out, with * and ?.
        min_characters: of a normalised text.
        max_tokens: of a document; a longer one is split.
        seed: of the draw.
    """

    reject: RejectLog
    corpus_share: float
    exclude: Sequence[str]
    min_characters: int
    max_tokens: int
    seed: int
    read: int = 0
    ids: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)  # place -> the lowest number that may be free

    def accept(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents that pass, or their parts, in order; counts the documents."""
        excluded = _pattern(self.exclude)
        first_with: dict[bytes, str] = {}
        for document in documents:
            self.read += 1
            if excluded.fullmatch(document.id):
                self._drop("excluded", document)
            elif xxh3_64_intdigest(document.id.encode(), self.seed) >= self.corpus_share * 2**64:
                self._drop("not in the sample", document)
            else:
                for part in self._parts(document):
                    key = exact_key(part.text)
                    if len(part.text) < self.min_characters:
                        self._drop("too short", part, f"{len(part.text)} characters")
                    elif key in first_with:
                        self.reject(Reject("deduplicate", "duplicate", part.id, f"same as {first_with[key]}"))
                    else:
                        first_with[key] = part.id
                        self.ids.update(filter(None, (part.id, part.parent)))
                        yield part

    def _parts(self, document: Document) -> list[Document]:
        """The document, or what it is split into, normalised, under ids that no document before it has."""
        name = self._name(document)
        whole = replace(document, id=name, text=normalise(document.text))
        parts = split_document(whole, self.max_tokens)
        if parts == [whole]:
            return parts
        mark = "#"
        while any(f"{name}{mark}{number}" in self.ids for number in range(1, len(parts) + 1)):
            mark += "#"
        # A cut can leave spaces at the end of a part.
        return [
            replace(part, id=f"{name}{mark}{number}", text=normalise(part.text))
            for number, part in enumerate(parts, start=1)
        ]

    def _name(self, document: Document) -> str:
        """The document's id; where that is taken, with what says where the document stands."""
        place = f"{document.id}@{document.origin.rsplit('/', 1)[-1]}"
        for name in (document.id, place):
            if name not in self.ids:
                return name
        number = self._numbers.get(place, 2)  # all below are taken
        while f"{place}@{number}" in self.ids:
            number += 1
        self._numbers[place] = number
        return f"{place}@{number}"

    def _drop(self, reason: str, document: Document, detail: str = "") -> None:
        self.reject(Reject("read", reason, document.id, detail))


def _pattern(exclude: Sequence[str]) -> re.Pattern[str]:
    """A pattern of all patterns; without any, one that matches nothing."""
    alternatives = [re.escape(one).replace(r"\*", ".*").replace(r"\?", ".") for one in exclude]
    return re.compile("|".join(f"(?:{one})" for one in alternatives) or r"(?!)", re.DOTALL)
