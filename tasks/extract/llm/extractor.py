"""Documents to pairs by a language model: several in one request, one pass that mends, every answer with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.corpus.tokens import count_tokens
from tasks.extract.extractor import Extraction
from tasks.extract.llm.ground import locate
from tasks.extract.llm.prompts import EXTRACT, REFINE, Found, Pairs, form, with_pairs
from tasks.llm.ask import Asking, each
from tasks.llm.form import Form
from tasks.llm.ladder import Answered, Ladder, Undecided
from tasks.records import QAPair, Reject

VERSION = "llm/1"
NOT_REFINED = "not refined"


@dataclass(frozen=True)
class LLMExtractor:
    """Pairs by a language model.

    Args:
        model: its name at the server, or of a local model its folder or name.
        parameters: of every request, with the bound of an answer's tokens.
        refine: let the model mend its pairs once.
        documents_per_request, tokens_per_request: bounds of a request; a document that is longer goes alone.
    """

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    refine: bool = True
    documents_per_request: int = 8
    tokens_per_request: int = 3000

    @property
    def name(self) -> str:
        return VERSION

    @property
    def settings(self) -> dict[str, Any]:
        """What changes a document's pairs. Which documents share a request does as well, but by chance."""
        prompts = [EXTRACT, REFINE] if self.refine else [EXTRACT]
        return {
            "model": self.model,
            "parameters": dict(self.parameters),
            "prompts": hashlib.sha256("\x00".join(prompts).encode()).hexdigest()[:16],
        }

    def extraction_form(self) -> Form[Pairs]:
        return form(EXTRACT, "pairs", self.model, self.parameters)

    def refinement_form(self) -> Form[Pairs]:
        return form(REFINE, "mended-pairs", self.model, self.parameters)

    async def extract(
        self,
        asker: Asking,
        documents: Sequence[tuple[str, str]],
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Extraction | Reject]:
        """What comes of each document, (id, text); a reject where the model gave no answer that could be read.

        Args:
            progress: called with the number of documents that are done.

        Raises:
            Stopped, BadInput: nothing more can be asked; what was answered is in the asker's store.
        """
        first = Ladder(self.extraction_form(), asker)
        second = Ladder(self.refinement_form(), asker) if self.refine else None
        made: list[Extraction | Reject | None] = [None] * len(documents)

        async def work(rows: list[int]) -> None:
            texts = [documents[row][1] for row in rows]
            answers = await first.answers(texts)
            refined = await _refined(second, texts, answers)
            for row, answer, mended in zip(rows, answers, refined, strict=True):
                made[row] = self._extraction(*documents[row], answer, mended)
            progress(sum(one is not None for one in made))

        await each(asker, self.groups([text for _, text in documents]), work)
        return [one for one in made if one is not None]

    def groups(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Rows of the texts that share a request, in their order."""
        rows: list[int] = []
        held = 0
        for row, text in enumerate(texts):
            tokens = count_tokens(text)
            full = len(rows) == self.documents_per_request or held + tokens > self.tokens_per_request
            if rows and full:
                yield rows
                rows, held = [], 0
            rows.append(row)
            held += tokens
        if rows:
            yield rows

    def _extraction(
        self,
        document_id: str,
        text: str,
        answer: Answered[Pairs] | Undecided,
        mended: Answered[Pairs] | Undecided | None,
    ) -> Extraction | Reject:
        if isinstance(answer, Undecided):
            return Reject("extract", "no answer from the model", document_id, answer.reason, answer.cost)
        cost = answer.cost + (mended.cost if mended else 0.0)
        last = mended if isinstance(mended, Answered) else answer
        rule = self.model if last is mended or not self.refine else f"{self.model}, {NOT_REFINED}"
        pairs: list[QAPair] = []
        rejects: list[Reject] = []
        for found in last.value.pairs:
            span = locate(found.quote, text)
            if span is None:
                rejects.append(Reject("extract", "quote not in the document", document_id, _short(found)))
                continue
            question, words = found.question.strip(), found.answer.strip()
            if not question or not words:
                rejects.append(Reject("extract", "empty question or answer", document_id, _short(found)))
                continue
            number = len(pairs)
            pairs.append(
                QAPair(
                    id=f"{document_id}#{number}",
                    document_id=document_id,
                    start=span[0],
                    end=span[1],
                    question=question,
                    answer=words,
                    extractor=self.name,
                    rule=rule,
                    prompt_hash=last.request,
                )
            )
        return Extraction(pairs, rejects, cost)


async def _refined(
    ladder: Ladder[Pairs] | None, texts: Sequence[str], answers: Sequence[Answered[Pairs] | Undecided]
) -> list[Answered[Pairs] | Undecided | None]:
    """The mended pairs of the documents that have any; None for the others."""
    found: list[Answered[Pairs] | Undecided | None] = [None] * len(texts)
    if ladder is None:
        return found
    rows = [row for row, one in enumerate(answers) if isinstance(one, Answered) and one.value.pairs]
    if rows:
        asked = [with_pairs(texts[row], answers[row].value.pairs) for row in rows]  # type: ignore[union-attr]
        for row, answer in zip(rows, await ladder.answers(asked), strict=True):
            found[row] = answer
    return found


def _short(found: Found) -> str:
    return " ".join(f"{found.question} | {found.quote}".split())[:300]
