"""Many texts in one request; what does not parse is asked again, in halves and in a plainer form, until it is undecided.

Nothing is dropped: a text has an answer, or is Undecided with the reason. (The authors' run of BATCHER, arXiv 2312.03987,
gives up a whole batch whose answer does not parse.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from tasks.llm.ask import Asker, Failure
from tasks.llm.form import JSON, RUNGS, SCHEMA, Answer, Form

_ABOUT_SCHEMAS = ("response_format", "json_schema", "guided", "structured")


@dataclass(frozen=True, slots=True)
class Undecided:
    """No answer after all that could be tried, and why not."""

    reason: str


class Ladder(Generic[Answer]):
    """Answers of one form.

    Args:
        form: how is asked.
        asker: who asks.
    """

    def __init__(self, form: Form[Answer], asker: Asker) -> None:
        self.form, self.asker = form, asker
        self._first = SCHEMA

    async def answers(self, texts: Sequence[str]) -> list[Answer | Undecided]:
        """An answer for each text, all asked for in one request first."""
        found: dict[int, Answer] = {}
        reasons: dict[int, str] = {}
        await self._ask(texts, list(range(len(texts))), self._first, found, reasons)
        return [found[row] if row in found else Undecided(reasons[row]) for row in range(len(texts))]

    async def _ask(
        self,
        texts: Sequence[str],
        rows: list[int],
        rung: int,
        found: dict[int, Answer],
        reasons: dict[int, str],
    ) -> None:
        reply = await self.asker.ask(self.form.request([texts[row] for row in rows], rung))
        if isinstance(reply, Failure):
            if rung == SCHEMA and any(word in reply.reason for word in _ABOUT_SCHEMAS):
                self._first = JSON  # the server knows no schemas: no request asks for one again
                return await self._ask(texts, rows, JSON, found, reasons)
            reason = reply.reason
        else:
            read = self.form.read(reply.text, len(rows), reply.cut)
            found.update({rows[place]: answer for place, answer in read.items()})
            reason = "the answer was cut off" if reply.cut else "the answer could not be read"
        missing = [row for row in rows if row not in found]
        reasons.update(dict.fromkeys(missing, reason))
        if missing and (len(rows) > 1 or rung < RUNGS[-1]):
            half = -(-len(rows) // 2)
            for first in range(0, len(missing), half):
                await self._ask(
                    texts, missing[first : first + half], min(rung + 1, RUNGS[-1]), found, reasons
                )
