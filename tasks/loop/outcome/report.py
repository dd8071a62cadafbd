"""report.html: one self-contained page that shows what a run found, what it cost and whether that paid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.loop.outcome import findings
from tasks.page.charts import Label, Series, cluster_map, level, line_chart
from tasks.page.templates import saved_settings, settings_of, templates, without_places
from tasks.run.costs import Ledger
from tasks.run.terminal import dollars
from tasks.storage.tables import read_rows, write_text

_CLUSTERS_SHOWN, _CLUSTERS_LISTED = 14, 200
_MAP_LABELS = 14
_LABEL = 24  # characters of a label's words
_EXAMPLE = 160  # characters of an id or a detail
_FAR_DEARER = (
    2.5  # times the run's cost: a strategy beyond it would squeeze the chart, and becomes a level in it
)


def write_report(run: Path) -> Path:
    """Write run/report.html from the run's tables.

    Args:
        run: folder with summary.json, documents.parquet, pairs.parquet, arms.parquet, rejected.parquet, costs.jsonl
            and settings.yaml.

    Returns:
        Path of the page. The same tables give the same page.
    """
    page = templates("tasks.loop.outcome").get_template("report.html.j2").render(_content(run))
    path = run / "report.html"
    write_text(path, page)
    return path


def _content(run: Path) -> dict[str, Any]:
    """Everything the page shows, by name."""
    summary = findings.load_summary(run)
    corpus = findings.Corpus(run / "documents.parquet")
    arms = read_rows(run / "arms.parquet")
    clusters = findings.clusters(corpus, arms, findings.load_terms(run, arms), summary["price"])
    rewards = [row["reward"] for row in clusters if row["reward"] is not None and row["read"]]
    low, high = (min(rewards), max(rewards)) if rewards else (0.0, 1.0)
    for row in clusters:
        row["level"] = level(row["reward"], low, high) if row["read"] and row["reward"] is not None else None
    shown = min(_CLUSTERS_SHOWN, max(1, sum(row["read"] > 0 for row in clusters)))
    order = [row["cluster"] for row in clusters]
    runs = [_own_row(summary), *(summary["comparison"] or [])]
    sampled = _round_examples(run, summary)
    warm_yield = findings.warmup_yield(corpus)
    stages = Ledger(run / "costs.jsonl").by_stage()
    free = summary["extractor"] == "rules"
    known = summary["price"] is not None and summary["tokens_read"] is not None
    return {
        "name": run.name,
        "summary": summary,
        "free": free,
        "cost_name": "Would cost" if free else "Cost",
        "cost_read": summary["price"] * summary["tokens_read"] / 1e6 if known else None,
        "paid": sum(sums["cost_paid"] for sums in stages.values()),
        "random": next((one for one in runs[1:] if one["strategy"] == "random"), None),
        "runs": runs,
        "best": {key: _lowest(runs, key) for key in ("transport_heldout", "nll")},
        "rivals": {key: _rival(runs, key) for key in ("transport_heldout", "nll")},
        "distance_chart": _distance_chart(summary, runs),
        "student_chart": _student_chart(summary, runs, sampled is not None),
        "round_examples": sampled,
        "clusters": clusters[:shown],
        "more_clusters": clusters[shown:_CLUSTERS_LISTED],
        "left_out": max(0, len(clusters) - _CLUSTERS_LISTED),
        "about": {row["cluster"]: row["terms"] for row in clusters},
        "most_pairs": max((row["pairs"] for row in clusters), default=0),
        "reward_range": (low, high) if rewards else None,
        "heat": findings.heat(corpus, order),
        "level": level,
        "infinity": math.inf,  # the bonus of an arm that was never pulled
        "map": _map(corpus, clusters),
        "samples": findings.samples(run, order, arms),
        "drops": [
            {**row, "examples": [_shortened(example) for example in row["examples"]]}
            for row in findings.drops(run / "rejected.parquet")
        ],
        "seconds": findings.stage_seconds(summary["seconds"]),
        "stages": stages,
        "asked": any(sums["requests"] for sums in stages.values()),
        "projected_pairs": None if warm_yield is None else warm_yield * len(corpus.cluster),
        "settings": settings_of(run),
        "reward": saved_settings(run).get("reward"),
    }


def _own_row(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "strategy": summary["strategy"] or "this run",
        "documents": summary["extracted_documents"],
        "tokens": summary["tokens_read"],
        "cost": summary["cost"],
        "pairs": summary["pairs"],
        "transport_heldout": summary["transport_heldout"],
        "nll": summary["nll_after"],
        "exact_match": summary["exact_match_after"],
    }


def _lowest(runs: Sequence[Mapping[str, Any]], key: str) -> float | None:
    return min((run[key] for run in runs if run.get(key) is not None), default=None)


def _rival(runs: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    """The best of the other strategies by a figure of which less is better; None where there is nothing to compare."""
    mine, *others = runs
    others = [one for one in others if one.get(key) is not None]
    if mine[key] is None or not others:
        return None
    best = min(others, key=lambda one: one[key])
    return {"strategy": best["strategy"], "value": best[key], "others": len(others)}


def _round_examples(run: Path, summary: Mapping[str, Any]) -> int | None:
    """How many test examples score the student after a round; None where it is all of them, as at the end."""
    sampled = saved_settings(run).get("round_examples")
    return sampled if sampled and summary["test_examples"] and sampled < summary["test_examples"] else None


def _distance_chart(summary: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Any:
    """Distance to the held-out target over the cost so far, this run beside the others."""
    cost, free = summary["cost"], summary["extractor"] == "rules"
    if cost is None:
        return ""
    series = []
    for number, run in enumerate(runs):
        told = (summary["rounds"] if number == 0 else run.get("rounds")) or []
        points = [
            (one["cost"], one["transport_heldout"])
            for one in told
            if one.get("transport_heldout") is not None
        ]
        if not points:
            continue
        if number and points[-1][0] > _FAR_DEARER * cost:
            series.append(
                Series(run["strategy"], [], [points[-1][1]], "guide", note=f"({dollars(points[-1][0])})")
            )
        else:
            style = "other" if number else "main"
            series.append(Series(run["strategy"], [x for x, _ in points], [y for _, y in points], style))
    return line_chart(
        series,
        title="Distance to the held-out target over the cost of reading",
        x_label=f"{'what a model would take for' if free else 'cost of'} the documents read so far",
        y_label="distance to the held-out target (lower is nearer)",
        x_text="${:g}".format,
        y_text="{:.2f}".format,
    )


def _student_chart(summary: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], on_a_part: bool) -> Any:
    """The student's loss on the held-out target round by round; what other trainings ended with as levels.

    Args:
        on_a_part: the rounds are scored on a part of the test examples. Then the run's own end, on all of them, is a
            level too, and the student's start, on all of them, is no point of the line.
    """
    points = [(one["round"], one["nll"]) for one in summary["rounds"] or [] if one.get("nll") is not None]
    if summary["nll_before"] is not None and points and points[0][0] > 0 and not on_a_part:
        points.insert(0, (0, summary["nll_before"]))
    levels = [(run["strategy"], run.get("nll")) for run in runs[1:]]
    reference = summary["reference"] or {}
    levels += [
        ("reference alone", reference.get("nll_reference")),
        ("reference + selection", reference.get("nll_reference_selection")),
    ]
    own = summary["strategy"] or "this run"
    series = [Series(own, [x for x, _ in points], [y for _, y in points], "main")]
    series += [Series(name, [], [nll], "guide") for name, nll in levels if nll is not None]
    if on_a_part and summary["nll_after"] is not None:
        series.append(Series(f"{own} at the end", [], [summary["nll_after"]], "guide main"))
    return line_chart(
        series,
        title="The student's loss on the held-out target after each round",
        x_label="round",
        y_label="loss per answer token (nats, lower is better)",
        x_text=lambda value: f"{value:.0f}" if float(value).is_integer() else "",
        y_text="{:.2f}".format,
    )


def _map(corpus: findings.Corpus, clusters: Sequence[Mapping[str, Any]]) -> Any:
    placed = np.isfinite(corpus.x) & np.isfinite(corpus.y)
    if not placed.any():
        return ""
    level_of = np.full(int(corpus.cluster.max(initial=0)) + 2, -1)
    for row in clusters:
        level_of[row["cluster"]] = 0 if row["level"] is None else row["level"]
    levels = np.where(corpus.extracted, level_of[corpus.cluster], -1)
    labels = []
    for row in clusters[:_MAP_LABELS]:
        inside = placed & (corpus.cluster == row["cluster"])
        if inside.any():
            first, second = (" ".join(row["terms"].split()[:count]).rstrip(",") for count in (1, 2))
            text = f"{row['cluster']}  {second if len(second) <= _LABEL else first[:_LABEL]}".rstrip()
            labels.append(Label(float(np.median(corpus.x[inside])), float(np.median(corpus.y[inside])), text))
    return cluster_map(
        corpus.x[placed],
        corpus.y[placed],
        levels[placed],
        labels,
        title="Documents on a plane, those read in colour",
    )


def _shortened(example: Mapping[str, str]) -> dict[str, str]:
    """Cut last: what is left of a URL that was cut in its password would not be known for one."""
    return {name: without_places(value)[:_EXAMPLE] for name, value in example.items()}
