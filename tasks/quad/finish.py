"""What a run leaves: the selection, the tables, the figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.prepare.documents import read_documents
from tasks.quad.plan import budget_tokens
from tasks.quad.rounds import STRATEGIES
from tasks.quad.settings import QuadSettings
from tasks.quad.visits import FULL, SCORES, VISITS, all_scores, all_visits, round_folder
from tasks.run.folder import versions
from tasks.storage.tables import atomic_path, read_json, read_rows, write_json, write_table

Facts = dict[str, Any]

SELECTED, SCORES_TABLE, ARMS = "selected.jsonl", "scores.parquet", "arms.parquet"


def select(run: Path, settings: QuadSettings, corpus: Facts, last: Facts) -> Facts:
    """Put the rounds together, and write what the strategy selects, up to the budget."""
    scores, visits = all_scores(run, last["number"]), all_visits(run, last["number"])
    chosen, filled = STRATEGIES[settings.strategy].selected(
        scores, visits, settings, budget_tokens(settings, corpus)
    )
    _mark_bought(scores, visits, chosen)
    _write_selected(run, chosen)
    write_table(run / SCORES_TABLE, scores, SCORES)
    write_table(run / ARMS, visits, VISITS)
    return {
        "files": [SELECTED, SCORES_TABLE, ARMS],
        "documents": len(chosen),
        "tokens": sum(row["tokens"] for row in chosen),
        "filled": filled,
        "short": _short(chosen, len(scores), last["left"], budget_tokens(settings, corpus)),
    }


def _mark_bought(scores: Sequence[Facts], visits: Sequence[Facts], chosen: Sequence[Facts]) -> None:
    """Say of documents and visits what was bought in the end: in a round it is not known what the budget will pay."""
    rows = {row["row"] for row in chosen}
    counts: Counter[tuple[int, int]] = Counter()
    for row in scores:
        row["bought"] = row["row"] in rows
        counts[row["round"], row["cluster"]] += row["bought"]
    for visit in visits:
        visit["bought"] = counts[visit["round"], visit["cluster"]]


def _short(chosen: Sequence[Facts], scored: int, left: int, budget: int) -> str | None:
    """Why the selection is below the budget; None if it is not, but for what no document fills.

    Args:
        scored: documents.
        left: that fit the budget and were not scored.
    """
    tokens = sum(row["tokens"] for row in chosen)
    if tokens >= FULL * budget:
        return None
    if len(chosen) < scored:
        why = "none of the other documents that were scored fits what is left of it"
    elif left:
        why = "all that was scored is selected; raise --scored"
    else:
        why = "all documents that fit it are selected"
    return f"{tokens:,} of the budget's {budget:,} tokens: {why}"


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
        "score": settings.score,
        "strategy": settings.strategy,
        "seed": settings.seed,
        "documents": corpus["documents"],
        "documents_scored": last["scored"],
        "documents_selected": selected["documents"],
        "documents_filled": selected["filled"],
        "tokens_total": corpus["tokens"],
        "tokens_selected": selected["tokens"],
        "budget_tokens": budget_tokens(settings, corpus),
        "below_budget": selected["short"],
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


def _mark(settings: QuadSettings) -> str:
    """What tau is: with linucb there is no threshold, but the last document that the budget holds."""
    return "threshold" if settings.strategy == "neighbours" else "last bought"


def round_line(so_far: Facts, settings: QuadSettings, corpus: Facts) -> str:
    """A round in a line."""
    return (
        f"round {so_far['number']}: {so_far['scored']:,} documents scored, {so_far['bought']:,} bought, "
        f"{so_far['bought_tokens']:,} of {budget_tokens(settings, corpus):,} tokens; {_mark(settings)} at {so_far['tau']:.3g}"
    )


def visits_table(run: Path, number: int, settings: QuadSettings) -> list[list[str]]:
    """The clusters of a round, the best first, a heading before them."""
    terms = read_json(run / "stages/terms.json")
    head = ["cluster", "about", "documents", "mean", "low", "high", _mark(settings), "bought"]
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
