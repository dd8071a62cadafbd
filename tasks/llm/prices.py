"""What tokens cost."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.llm.request import Request, Usage

_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens.

    Args:
        input: of the prompt.
        cached: of the prompt's tokens that the server had in its prefix cache; None for as much as the others.
        output: of the answer.
    """

    input: float = 0.0
    cached: float | None = None
    output: float = 0.0

    def cost(self, usage: Usage) -> float:
        """Dollars of a reply."""
        cached = self.input if self.cached is None else self.cached
        fresh = max(0, usage.sent - usage.cached)
        return (fresh * self.input + usage.cached * cached + usage.answered * self.output) / _MILLION

    def most(self, request: Request) -> float:
        """Dollars that a request can cost: a token is at least a byte, and an answer ends at its max_tokens."""
        sent = max(self.input, self.cached or 0.0)
        return (request.most_tokens * sent + request.most_answered * self.output) / _MILLION
