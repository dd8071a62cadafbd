"""What a run may score and select, and what its next round does of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from tasks.prepare.documents import CORPUS
from tasks.quad.settings import QuadSettings
from tasks.records import BadInput
from tasks.storage.tables import read_column

Facts = dict[str, Any]

_ROUNDS = 12  # of linucb, about: it learns from one for the next


def budget_tokens(settings: QuadSettings, corpus: Facts) -> int:
    """Tokens to select."""
    return settings.budget_tokens or max(1, round(settings.budget * int(corpus["tokens"])))


def budget_share(settings: QuadSettings, corpus: Facts) -> float:
    """That as a share of the corpus."""
    return min(1.0, budget_tokens(settings, corpus) / int(corpus["tokens"]))


def too_dear(run: Path, budget: int) -> np.ndarray:
    """Which documents have more tokens than the whole budget, bool (n,): they are not scored, since they cannot be bought."""
    found: np.ndarray = np.asarray(read_column(run / CORPUS, "tokens")) > budget
    return found


def documents_that_fit(run: Path, settings: QuadSettings, corpus: Facts) -> int:
    """How many documents are not dearer than the whole budget.

    Raises:
        BadInput: none.
    """
    budget = budget_tokens(settings, corpus)
    found = int(np.count_nonzero(~too_dear(run, budget)))
    if not found:
        flag = "--budget-tokens" if settings.budget_tokens else f"--budget {settings.budget:g}"
        least = int(np.min(read_column(run / CORPUS, "tokens")))
        raise BadInput(f"{flag}: {budget:,} tokens, and the shortest document has {least:,}; give more")
    return found


def documents_to_score(settings: QuadSettings, corpus: Facts) -> int:
    """How many documents are scored, at most."""
    documents = int(corpus["documents"])
    if settings.scored is not None:
        return math.ceil(settings.scored * documents)
    if settings.strategy == "neighbours":
        return math.ceil(0.5 * documents)
    return max(_ROUNDS, math.ceil(min(1.0, 4 * budget_share(settings, corpus)) * documents))


def next_round(settings: QuadSettings, corpus: Facts, so_far: Facts) -> Facts | None:
    """The plan of the next round, or None: no more documents are there or may be scored, or what was bought is enough.

    Returns:
        number; documents, how many may be scored; budget, in tokens; tau_quantile; visits, the clusters to choose: no more
        than twice as many as could fill what is left of the budget, since of what is bought beyond it nothing is had.
    """
    whole = documents_to_score(settings, corpus)
    allowed = whole - int(so_far["scored"])
    if allowed <= 0 or not so_far["left"]:
        return None
    budget = budget_tokens(settings, corpus)
    quantile = settings.tau_quantile
    plan = {
        "number": so_far["number"] + 1,
        "budget": budget,
        "tau_quantile": max(0.5, 1 - 2 * budget_share(settings, corpus)) if quantile is None else quantile,
    }
    if settings.strategy == "linucb":
        of_a_round = min(settings.visits * settings.block, math.ceil(whole / _ROUNDS))
        return {**plan, "documents": min(allowed, of_a_round), "visits": 0}
    left = budget - int(so_far["bought_tokens"])
    if left <= 0:
        return None
    tokens = settings.block * float(corpus["tokens"]) / int(corpus["documents"])  # of a visit, about
    most = min(settings.visits, math.ceil(2 * left / tokens), math.ceil(allowed / settings.block))
    return {**plan, "documents": allowed, "visits": most}
