"""What tokens cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from difflib import get_close_matches

from tasks.llm.request import Request, Usage
from tasks.records import BadInput
from tasks.run.settings import read_yaml

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


def price_of(table: str, model: str) -> dict[str, float]:
    """A model's prices out of a YAML file of them, by the names of the fields of `Prices`.

    Raises:
        BadInput: one line: it cannot be read, does not have the model, or has no prices for it.
    """
    flag = f"--price-table {table}"
    rows = read_yaml(table, "--price-table")
    if model not in rows:
        meant = get_close_matches(model, rows, 1)
        raise BadInput(f"{flag}: no model {model}" + (f"; did you mean {meant[0]}?" if meant else ""))
    row = rows[model]
    names = [field.name for field in fields(Prices)]
    if not isinstance(row, dict) or not row or not set(row) <= set(names):
        raise BadInput(f"{flag}: {model}: expected {', '.join(names)}, in dollars for a million tokens")
    for name, price in row.items():
        if type(price) not in (int, float) or not 0 <= price < math.inf:
            raise BadInput(f"{flag}: {model}: {name} is {price!r}, and no price")
    return {name: float(price) for name, price in row.items()}
