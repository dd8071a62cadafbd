"""Many texts in one request; what does not parse is asked again, in halves and in a plainer form, until it is undecided.

Nothing is dropped: a text has an answer, or is Undecided with the reason. (The authors' run of BATCHER, arXiv 2312.03987,
gives up a whole batch whose answer does not parse.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from tasks.llm.ask import Asking, Failure
from tasks.llm.endpoint import is_about_schemas
from tasks.llm.form import JSON, OBJECT, SCHEMA, TEXT, Answer, Form


@dataclass(frozen=True, slots=True)
class Answered(Generic[Answer]):
    """The answer for a text.

    Args:
        request: key of the request that gave it, whose raw reply is in the store.
        cost: dollars, the text's share of all requests that asked about it.
    """

    value: Answer
    request: str
    cost: float


@dataclass(frozen=True, slots=True)
class Undecided:
    """No answer after all that could be tried, why not, and what it cost."""

    reason: str
    cost: float


@dataclass(slots=True)
class _Question(Generic[Answer]):
    """A text on its way."""

    text: str
    value: Answer | None = None
    request: str = ""
    reason: str = ""
    cost: float = 0.0

    def outcome(self) -> Answered[Answer] | Undecided:
        if self.value is None:
            return Undecided(self.reason, self.cost)
        return Answered(self.value, self.request, self.cost)


class Ladder(Generic[Answer]):
    """Answers of one form.

    Args:
        form: how is asked.
        asker: who asks.
    """

    def __init__(self, form: Form[Answer], asker: Asking) -> None:
        self.form, self.asker = form, asker

    async def answers(self, texts: Sequence[str]) -> list[Answered[Answer] | Undecided]:
        """What comes of each text; all are asked about in one request first."""
        questions: list[_Question[Answer]] = [_Question(text) for text in texts]
        if questions:
            await self._ask(questions, self._first_rung(texts))
        return [question.outcome() for question in questions]

    def _first_rung(self, texts: Sequence[str]) -> int:
        """By what the model takes, unless another was answered, and so paid for, before that was found out or changed."""
        keys = {rung: self.form.request(texts, rung).key for rung in (SCHEMA, OBJECT, JSON)}
        answered = self.asker.store.get_many(list(keys.values()))
        return next(
            (rung for rung, key in keys.items() if key in answered), self.asker.first_rung(self.form.model)
        )

    async def _ask(self, questions: Sequence[_Question[Answer]], rung: int) -> None:
        request = self.form.request([question.text for question in questions], rung)
        reply = await self.asker.ask(request)
        if isinstance(reply, Failure):
            if rung in (SCHEMA, OBJECT) and is_about_schemas(reply.reason):
                return await self._ask(questions, self.asker.refused(self.form.model, rung))
            read, reason, cost = {}, reply.reason, 0.0
        else:
            read = self.form.read(reply.text, len(questions), reply.cut)
            reason = "the answer was cut off" if reply.cut else "the answer could not be read"
            cost = self.asker.cost(reply) / len(questions)
        for place, question in enumerate(questions):
            question.value, question.request = read.get(place), request.key
            question.reason = reason
            question.cost += cost
        missing = [question for question in questions if question.value is None]
        if missing and (len(questions) > 1 or rung < TEXT):
            half = -(-len(questions) // 2)
            parts = [missing[first : first + half] for first in range(0, len(missing), half)]
            plainer = JSON if rung in (SCHEMA, OBJECT) else TEXT
            # Both are asked, even where the reply to the first is put off.
            for came in await asyncio.gather(
                *(self._ask(part, plainer) for part in parts), return_exceptions=True
            ):
                if isinstance(came, BaseException):
                    raise came
