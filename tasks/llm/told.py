"""What a person is told of the price of asking a model, before it is asked."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.llm.settings import ModelSettings
from tasks.run.terminal import dollars

NO_PRICES = (
    "at a price that is not known: start with --price-input and --price-output, in dollars for a million tokens (0 for what "
    "costs nothing), or with --price-table"
)


def is_priced(settings: ModelSettings, models: Iterable[str]) -> bool:
    """Whether it can be told what asking these models costs: their prices are given, or they run in this process."""
    own = (settings.model_copy(update={"model": model}) for model in models)
    return not settings.is_remote or all({"input", "output"} <= one.given_prices().keys() for one in own)


def about(*amounts: float | None) -> str:
    """An expected cost in words, or the least and the most; where one is None, that it is not known and what to do."""
    known = [amount for amount in amounts if amount is not None]
    return f"about {' to '.join(map(dollars, known))}" if len(known) == len(amounts) else NO_PRICES
