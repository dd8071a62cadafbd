"""How a budget is spread over rounds and pulls, before the first pull."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from tasks.loop.settings import EqualSettings


@dataclass(frozen=True)
class Plan:
    """Documents to read in each round and in each pull.

    Args:
        budget: documents that may be read in all, the warm-up among them.
        per_pull: documents of one pull.
        documents: of each round, the warm-up not among them.
    """

    budget: int
    per_pull: int
    documents: tuple[int, ...]

    @property
    def rounds(self) -> int:
        return len(self.documents)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "documents": list(self.documents)}

    @classmethod
    def from_dict(cls, plan: dict[str, Any]) -> Plan:
        return cls(plan["budget"], plan["per_pull"], tuple(plan["documents"]))


def documents_budget(documents: int, settings: EqualSettings, strategy: str | None = None) -> int:
    """Documents the budget allows, rounded down, one at the least; 'everything' reads all."""
    if (strategy or settings.strategy) == "everything":
        return documents
    # The tiny addition undoes the representation error of shares like 0.07 * 100.
    return max(1, math.floor(settings.budget * documents + 1e-9))


def make_plan(documents: int, clusters: int, read: int, strategy: str, settings: EqualSettings) -> Plan:
    """Spread what the warm-up left of the budget evenly over the rounds.

    Args:
        documents: of the corpus.
        clusters: arms.
        read: documents that the warm-up read.
    """
    budget = documents_budget(documents, settings, strategy)
    left = budget - read
    # Half of the budget pulls every arm once: more documents a pull would leave little to learn with.
    per_pull = settings.documents_per_pull or max(1, min(16, left // (2 * clusters)))
    rounds = min(settings.rounds, left)
    ends = [left * number // rounds for number in range(rounds + 1)] if rounds else []
    return Plan(budget, per_pull, tuple(after - before for before, after in pairwise(ends)))
