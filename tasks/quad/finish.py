"""What a run leaves: the selection, the tables, the figures."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.prepare.documents import read_documents
from tasks.quad.rounds import SCORES, VISITS, affordable, all_scores, all_visits, round_folder, within
from tasks.quad.settings import QuadSettings
from tasks.run.folder import versions
from tasks.run.tables import atomic_path, read_json, read_rows, write_json, write_table

Facts = dict[str, Any]

_ROUNDS = 12  # of linucb, at least: it learns from one for the next

SELECTED, SCORES_TABLE, ARMS = "selected.jsonl", "scores.parquet", "arms.parquet"


def budget_tokens(settings: QuadSettings, corpus: Facts) -> int:
    """Tokens to select."""
    return settings.budget_tokens or max(1, round(settings.budget * int(corpus["tokens"])))


def budget_share(settings: QuadSettings, corpus: Facts) -> float:
    """That as a share of the corpus."""
    return min(1.0, budget_tokens(settings, corpus) / int(corpus["tokens"]))


def documents_to_score(settings: QuadSettings, corpus: Facts) -> int:
    """How many documents are scored, at most."""
    share = settings.scored
    if share is None:
        share = 0.5 if settings.strategy == "neighbours" else min(1.0, 4 * budget_share(settings, corpus))
    return math.ceil(share * int(corpus["documents"]))


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


def select(run: Path, settings: QuadSettings, corpus: Facts, last: Facts) -> Facts:
    """Put the rounds together, and write what is selected, up to the budget.

    With linucb the best of what was scored. Else what was bought, in the order it was; and where that is less than the budget, what
    was scored and not bought too: the visits with the best means first, or the best documents, as the settings buy.
    """
    scores, visits = all_scores(run, last["number"]), all_visits(run, last["number"])
    worth = {(visit["round"], visit["cluster"]): visit["mean"] for visit in visits}
    budget = budget_tokens(settings, corpus)
    if settings.strategy == "linucb":
        chosen = affordable(scores, budget)
        bought = len(chosen)
        _mark_bought(scores, visits, {row["row"] for row in chosen})
    else:
        order = [row for row in scores if row["bought"]]
        bought = len(order)
        order += sorted(
            (row for row in scores if not row["bought"]),
            key=lambda row: (
                -(worth[row["round"], row["cluster"]] if settings.buy == "blocks" else row["score"])
            ),
        )
        chosen = within(order, budget)
    tokens = sum(row["tokens"] for row in chosen)
    _write_selected(run, chosen)
    write_table(run / SCORES_TABLE, scores, SCORES)
    write_table(run / ARMS, visits, VISITS)
    return {
        "files": [SELECTED, SCORES_TABLE, ARMS],
        "documents": len(chosen),
        "tokens": tokens,
        "filled": max(0, len(chosen) - bought),
    }


def _mark_bought(scores: Sequence[Facts], visits: Sequence[Facts], rows: set[int]) -> None:
    """What is bought is known at the end only, when all that is scored can be compared."""
    counts: Counter[tuple[int, int]] = Counter()
    for row in scores:
        row["bought"] = row["row"] in rows
        counts[row["round"], row["cluster"]] += row["bought"]
    for visit in visits:
        visit["bought"] = counts[visit["round"], visit["cluster"]]


def _write_selected(run: Path, chosen: Sequence[Facts]) -> None:
    documents = read_documents(run, [row["row"] for row in chosen])
    with atomic_path(run / SELECTED) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for row, document in zip(chosen, documents, strict=True):
            line = {
                "id": document["id"],
                "text": document["text"],
                "source": document["source"],
                "score": row["score"],
                "cluster": row["cluster"],
                "round": row["round"],
            }
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def summarise(
    settings: QuadSettings,
    *,
    target: Facts,
    corpus: Facts,
    clusters: Facts,
    curvature: Facts,
    last: Facts,
    selected: Facts,
    trained: Facts,
) -> Facts:
    """The figures of a run, machine-readable."""
    return {
        "layers": settings.layers,
        "strategy": settings.strategy,
        "seed": settings.seed,
        "documents": corpus["documents"],
        "documents_scored": last["scored"],
        "documents_selected": selected["documents"],
        "documents_filled": selected["filled"],
        "tokens_total": corpus["tokens"],
        "tokens_selected": selected["tokens"],
        "budget_tokens": budget_tokens(settings, corpus),
        "clusters": clusters["clusters"],
        "rounds": last["number"],
        "tau": last["tau"],
        "reference_examples": target["reference"],
        "test_examples": target["test"],
        "influence_layers": curvature["layers"],
        "influence_parameters": curvature["parameters"],
        "reference_nll_before": trained["nll_before"],
        "reference_nll_after": trained["nll_after"],
        "train_tokens": trained["tokens"],
        "versions": versions(),
    }


def save_summary(run: Path, summary: Facts) -> None:
    write_json(run / "summary.json", summary)


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("documents", f"{summary['documents']:,}"),
        ("scored", f"{summary['documents_scored']:,}"),
        ("selected", f"{summary['documents_selected']:,}"),
        ("tokens", f"{summary['tokens_selected']:,}"),
    ]
    if summary["reference_nll_after"] is not None:
        columns += [
            ("held-out NLL before", f"{summary['reference_nll_before']:.3f}"),
            ("after", f"{summary['reference_nll_after']:.3f}"),
        ]
    return [[name for name, _ in columns], [value for _, value in columns]]


def round_line(so_far: Facts, settings: QuadSettings, corpus: Facts) -> str:
    """A round in a line."""
    return (
        f"round {so_far['number']}: {so_far['scored']:,} documents scored, {so_far['bought']:,} bought, "
        f"{so_far['bought_tokens']:,} of {budget_tokens(settings, corpus):,} tokens; threshold {so_far['tau']:.3g}"
    )


def visits_table(run: Path, number: int) -> list[list[str]]:
    """The visits of a round, the best first, a heading before them."""
    terms = read_json(run / "stages/terms.json")
    head = ["cluster", "about", "documents", "mean", "low", "high", "threshold", "bought"]
    visits = sorted(read_rows(round_folder(run, number) / "visits.parquet"), key=lambda row: -row["mean"])
    return [head] + [
        [
            str(row["cluster"]),
            " ".join(terms[row["cluster"]]),
            f"{row['documents']} of {row['size']}",
            *(f"{row[name]:.4g}" for name in ("mean", "low", "high", "tau")),
            str(row["bought"]),
        ]
        for row in visits
    ]
