"""Which extracted pairs are kept: no pair twice in a run, none that shows the test part, a limit per document."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tasks.records import QAPair, Reject


class PairFilter:
    """Splits pairs into kept and rejected, and remembers what the run has kept.

    Its state is a function of the pairs kept so far, so a resumed run builds it anew from them.

    Args:
        contaminated: what of each of some texts stands in the test part, None where nothing does.
        min_answer_characters: pairs with a shorter answer are dropped.
        max_pairs_per_document: pairs kept of one document, the first ones.
        seen: the pairs that earlier rounds kept.
    """

    def __init__(
        self,
        contaminated: Callable[[Sequence[str]], Sequence[str | None]],
        min_answer_characters: int = 1,
        max_pairs_per_document: int = 64,
        seen: Iterable[QAPair] = (),
    ) -> None:
        self.contaminated = contaminated
        self.min_answer_characters = min_answer_characters
        self.max_pairs_per_document = max_pairs_per_document
        self._kept: dict[bytes, str] = {}
        self._per_document: Counter[str] = Counter()
        for pair in seen:
            self._keep(pair)

    def split(self, pairs: Iterable[QAPair]) -> tuple[list[QAPair], list[Reject]]:
        """Kept pairs, and a reject with the pair's id for each other one; both in the order given."""
        pairs = list(pairs)
        # All at once: what looks for runs of words takes as long for one text as for ten.
        shared = self.contaminated([f"{pair.question}\n{pair.answer}" for pair in pairs])
        kept, rejected = [], []
        for pair, words in zip(pairs, shared, strict=True):
            fault = self._fault(pair) or (None if words is None else ("contaminated", words))
            if fault is None:
                self._keep(pair)
                kept.append(pair)
            else:
                rejected.append(Reject("filter", fault[0], pair.id, fault[1]))
        return kept, rejected

    def _fault(self, pair: QAPair) -> tuple[str, str] | None:
        length = len(pair.answer.strip())
        if length < self.min_answer_characters:
            return "answer too short", f"{length} characters"
        first = self._kept.get(_fingerprint(pair))
        if first is not None:
            return "duplicate pair", f"same as {first}"
        if self._per_document[pair.document_id] >= self.max_pairs_per_document:
            return "over the limit of the document", f"{self.max_pairs_per_document} pairs kept"
        return None

    def _keep(self, pair: QAPair) -> None:
        self._kept.setdefault(_fingerprint(pair), pair.id)
        self._per_document[pair.document_id] += 1


def _fingerprint(pair: QAPair) -> bytes:
    """Of question and answer, whatever their case, white space and Unicode form."""
    parts = (
        " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        for text in (pair.question, pair.answer)
    )
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]
