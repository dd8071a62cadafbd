"""A round: documents are chosen, as the strategy does it, and scored; what helps is bought."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.quad import neighbours, regression
from tasks.quad.plan import documents_that_fit
from tasks.quad.settings import QuadSettings
from tasks.quad.visits import SCORES, VISITS, all_scores, round_folder
from tasks.storage.tables import write_json, write_table

Facts = dict[str, Any]

STRATEGIES: dict[str, Any] = {"linucb": regression, "neighbours": neighbours}
"""Each has `play`, which chooses and scores the documents of a round, and says which are `bought` so far and `selected` in the end."""


def nothing_yet(run: Path, settings: QuadSettings, corpus: Facts) -> Facts:
    """What is known before the first round.

    Raises:
        BadInput: no document fits the budget.
    """
    return {
        "scored": 0,
        "bought": 0,
        "bought_tokens": 0,
        "tau": None,
        "left": documents_that_fit(run, settings, corpus),
        "number": 0,
    }


def visit(
    run: Path, settings: QuadSettings, plan: Facts, clusters: Facts, curvature: Facts, before: Facts
) -> Facts:
    """Choose documents or clusters, score documents, decide what is bought, and tell the strategy.

    Args:
        plan: of the round, by `plan.next_round`; with neighbours the last visit's first block may go beyond its documents.
    """
    number = plan["number"]
    at = round_folder(run, number)
    strategy = STRATEGIES[settings.strategy]
    earlier = all_scores(run, number - 1)
    scores, told, state = strategy.play(run, settings, plan, curvature["mark"], before, earlier)
    write_table(at / "scores.parquet", scores, SCORES)
    write_table(at / "visits.parquet", told, VISITS)
    if state is not None:
        write_json(at / "state.json", state)
    names = ["scores.parquet", "visits.parquet", *(["state.json"] if state is not None else [])]
    bought = strategy.bought([*earlier, *scores], plan["budget"])
    return {
        "files": [str((at / name).relative_to(run)) for name in names],
        "scored": len(earlier) + len(scores),
        "bought": len(bought),
        "bought_tokens": sum(row["tokens"] for row in bought),
        "tau": told[0]["tau"],
        "left": before["left"] - len(scores),
        "number": number,
    }
