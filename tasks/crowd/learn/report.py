"""report.html of a run of `sluice crowd classify` or `learn`: how sure labels are, beside what else, whom to trust, what to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.learn.finish import NEXT, WORKERS, all_labels, read_csv
from tasks.crowd.learn.settings import CrowdLearningSettings
from tasks.crowd.learn.stages import ITEMS, load_answers
from tasks.crowd.tables import CONFUSION
from tasks.page.charts import level
from tasks.page.templates import settings_of, templates
from tasks.storage.tables import read_rows, write_text

Facts = dict[str, Any]

_BARS, _ROWS, _LABELS = 20, 15, 12
_TEXT, _NAME = 200, 60  # characters
WHAT = {
    "mv": "votes, then a network on the winners",
    "ds-hard": "Dawid and Skene, then a network on the likeliest labels",
    "ds": "Dawid and Skene, then a network on their probabilities",
    "ds-pooled": "D&S with matrices drawn to that of all workers, then a network on their probabilities",
    "joint": "a classifier and confusion matrices in turns",
    "crowd-layer": "a network under a matrix for each worker",
    "crowdlab": "CROWDLAB, then a network on its labels",
}


def write_report(run: Path, settings: CrowdLearningSettings, summary: Facts) -> Path:
    """Write report.html. Tasks, texts, workers and labels are a stranger's text: everything is escaped."""
    rows = all_labels(run, settings)
    workers = read_csv(run / WORKERS)
    content = {
        "name": run.name,
        "flow": settings.flow,
        "summary": summary,
        "bars": _histogram(np.array([float(row["confidence"]) for row in rows]), 1 / len(summary["labels"])),
        "methods": [
            {"name": name, "what": WHAT[name], "own": name == settings.method, **figures}
            for name, figures in summary["methods"].items()
        ],
        "next": _next(run, rows),
        "workers": [{**row, "worker": _short(row["worker"], _NAME)} for row in workers[:_ROWS]],
        "more_workers": max(0, len(workers) - _ROWS),
        "confusion": _confusion(run),
        "seconds": sorted(summary["seconds"].items(), key=lambda item: -item[1]),
        "settings": settings_of(run),
    }
    path = run / "report.html"
    page = templates("tasks.crowd.learn").get_template("report.html.j2").render(content)
    write_text(path, page)
    return path


def _histogram(confidence: np.ndarray, least: float) -> list[Facts]:
    """Bars of items by confidence; heights as square roots, so that few show."""
    edges = np.linspace(least, 1, _BARS + 1)
    counts, _ = np.histogram(np.clip(confidence, least, 1), edges)
    heights = 100 * np.sqrt(counts / max(1, counts.max()))
    return [
        {"from": low, "to": high, "count": int(count), "height": float(height)}
        for low, high, count, height in zip(edges, edges[1:], counts, heights, strict=False)
    ]


def _next(run: Path, labelled: list[Facts]) -> list[Facts]:
    """The items that are the least sure, with what they are taken for now."""
    label = {row["task"]: row for row in labelled}
    text = {row["task"]: row["text"] or "" for row in read_rows(run / ITEMS)}
    return [
        {
            **row,
            "task": _short(row["task"], _NAME),
            "label": _short(label[row["task"]]["label"], _NAME),
            "confidence": float(label[row["task"]]["confidence"]),
            "text": _short(text[row["task"]], _TEXT),
        }
        for row in read_csv(run / NEXT)[:_ROWS]
    ]


def _confusion(run: Path) -> Facts:
    """What workers answer together, by what is right: shares of the expected answers, of the labels with the most."""
    labels = list(load_answers(run).labels)
    place = {name: code for code, name in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)))
    for row in read_rows(run / CONFUSION):
        counts[place[row["truth"]], place[row["label"]]] += row["probability"] * row["answers"]
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:_LABELS])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    rows = [
        {
            "truth": _short(labels[truth], _NAME),
            "cells": [
                {"share": shares[truth, one], "level": level(float(shares[truth, one]), 0, 1)} for one in kept
            ],
        }
        for truth in kept
    ]
    return {
        "names": [_short(labels[one], _NAME) for one in kept],
        "rows": rows,
        "more": len(labels) - len(kept),
    }


def _short(text: str, most: int) -> str:
    return text[:most] + ("…" if len(text) > most else "")
