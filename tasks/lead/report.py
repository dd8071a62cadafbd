"""report.html of a run of LEAD: the loss, where the bandit went, which examples were least sure, at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.lead.difficulty import CLUSTERS
from tasks.page.charts import Series, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import read_json, read_rows, write_text

Facts = dict[str, Any]

_LINES = 6  # clusters in the chart
_EXAMPLES = 8
_CHARACTERS = 600


def write_report(run: Path, summary: Facts) -> Path:
    """Write run/report.html. Examples are a stranger's text: everything is escaped."""
    page = templates("tasks.lead").get_template("report.html.j2").render(_content(run, summary))
    path = run / "report.html"
    write_text(path, page)
    return path


def _content(run: Path, summary: Facts) -> Facts:
    arms, steps = read_rows(run / "arms.parquet"), read_rows(run / "steps.parquet")
    described = read_json(run / CLUSTERS)
    selected = read_rows(run / "selected.parquet")  # in the order in which they were trained on
    if summary["choice"] != "coverage":
        selected.sort(key=lambda row: -row["idu"])
    return {
        "name": run.name,
        "summary": summary,
        "loss": _loss(steps),
        "covered": _covered(summary["covered"]) if summary["covered"] else None,
        "probabilities": _probabilities(arms, summary["rounds"]),
        "clusters": _clusters(arms, described, summary["rounds"]),
        "rounds": [row for row in arms if row["drawn"]],
        "examples": [
            {
                **row,
                "about": described[row["cluster"]]["terms"],
                "question": _cut(row["question"]),
                "answer": _cut(row["answer"]),
            }
            for row in selected[:_EXAMPLES]
        ],
        "seconds": sorted(summary["seconds"].items(), key=lambda item: -item[1]),
        "settings": settings_of(run),
    }


def _loss(steps: Sequence[Facts]) -> Any:
    return line_chart(
        [Series("loss", [row["step"] for row in steps], [row["loss"] for row in steps], "main")],
        title="Loss of each training step",
        x_label="training step",
        y_label="loss, nats per answer token",
        x_text="{:.0f}".format,
        y_text="{:.2f}".format,
    )


def _covered(rounds: Sequence[Facts]) -> Any:
    at = [row["tokens"] for row in rounds]
    return line_chart(
        [
            Series("chosen", at, [row["cross_entropy"] for row in rounds], "main"),
            Series("at random", at, [row["by_chance"] for row in rounds]),
        ],
        title="Cross entropy of the answers wanted, by counts",
        x_label="tokens of the examples trained on",
        y_label="nats a pair of tokens",
        x_text="{:,.0f}".format,
        y_text="{:.2f}".format,
    )


def _probabilities(arms: Sequence[Facts], rounds: int) -> Any:
    """Of the clusters that are likeliest at the end, the likeliest in the main line's colour."""
    last = {row["cluster"]: row["probability"] for row in arms if row["round"] == rounds}
    first = sorted(last, key=lambda cluster: -last[cluster])[:_LINES]
    series = []
    for place, cluster in enumerate(first):
        own = [row for row in arms if row["cluster"] == cluster]
        series.append(
            Series(
                f"cluster {cluster}",
                [row["round"] for row in own],
                [row["probability"] for row in own],
                "other" if place else "main",
            )
        )
    return line_chart(
        series,
        title="Probability of clusters by round",
        x_label="round",
        y_label="probability of being drawn",
        x_text="{:.0f}".format,
        y_text="{:.1%}".format,
    )


def _clusters(arms: Sequence[Facts], described: Sequence[Facts], rounds: int) -> list[Facts]:
    """Clusters after the last round, those drawn most often first."""
    rewards: dict[int, list[float]] = {}
    for row in arms:
        if row["drawn"]:
            rewards.setdefault(row["cluster"], []).append(row["reward"])
    last = [
        {
            **row,
            **described[row["cluster"]],
            "reward": sum(own) / len(own) if (own := rewards.get(row["cluster"])) else None,
        }
        for row in arms
        if row["round"] == rounds
    ]
    return sorted(last, key=lambda row: (-row["draws"], row["cluster"]))


def _cut(text: str) -> str:
    return text[:_CHARACTERS] + ("…" if len(text) > _CHARACTERS else "")
