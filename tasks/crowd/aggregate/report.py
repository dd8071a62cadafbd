"""report.html of a run of `sluice crowd aggregate`: how sure the labels are, who is reliable, what is disputed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tasks.crowd.aggregate.judge import read_labels, read_workers
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.aggregate.stages import NAMES, OTHERS, POSTERIOR, load_answers, load_numbers
from tasks.crowd.read import known_labels
from tasks.page.charts import LEVELS, Series, level, line_chart
from tasks.page.templates import settings_of, templates
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, write_text

Facts = dict[str, Any]

_BARS, _ROWS, _CLASSES, _DOTS = 20, 15, 12, 2000
_LABEL = 60  # characters


def write_report(run: Path, settings: AggregateSettings, summary: Facts) -> Path:
    """Write report.html. Tasks, workers and labels are a stranger's text: everything is escaped."""
    content = _of_numbers(run) if settings.of_numbers else _of_labels(run, settings, summary)
    name = "numbers.html.j2" if settings.of_numbers else "report.html.j2"
    page = (
        templates("tasks.crowd.aggregate")
        .get_template(name)
        .render(
            name=run.name,
            summary=summary,
            seconds=sorted(summary["seconds"].items(), key=lambda item: -item[1]),
            settings=settings_of(run),
            **content,
        )
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def _of_labels(run: Path, settings: AggregateSettings, summary: Facts) -> Facts:
    answers, posterior = load_answers(run), np.asarray(load_array(run / POSTERIOR))
    workers = read_workers(run)
    confidence = posterior.max(axis=1)
    return {
        "bars": _histogram(confidence, 1 / len(answers.labels)),
        "calibration": _calibration(run, settings, confidence),
        "workers": [_worker(row) for row in workers[:_ROWS]],
        "worst": [_worker(row) for row in sorted(workers, key=_doubt)[:_ROWS]],
        "more_workers": max(0, len(workers) - _ROWS),
        "dots": _scatter(workers, "quality", "expected share of right answers"),
        "disputed": _disputed(run, answers, posterior),
        "confusion": _confusion(answers, posterior),
        "others": _others(run, summary) if settings.compare else [],
        "labels": [
            {"name": _short(name), "tasks": count, "share": count / summary["tasks"]}
            for name, count in zip(answers.labels[:_ROWS], summary["shares"], strict=False)
        ],
    }


def _of_numbers(run: Path) -> Facts:
    answers = load_numbers(run)
    rows = sorted(read_labels(run), key=lambda row: -float(row["standard_error"] or 0))[:_ROWS]
    place = {task: code for code, task in enumerate(answers.tasks)}
    disputed = []
    for row in rows:
        given = np.sort(answers.value[answers.task == place[row["task"]]])
        shown = ", ".join(f"{value:g}" for value in given[:_CLASSES]) + (
            " …" if len(given) > _CLASSES else ""
        )
        disputed.append({**row, "task": _short(row["task"]), "answers": shown})
    workers = read_workers(run)
    return {
        "disputed": disputed,
        "workers": [{**row, "worker": _short(row["worker"])} for row in _by_answers(workers)[:_ROWS]],
        "more_workers": max(0, len(workers) - _ROWS),
        "dots": _scatter(workers, "error", "distance from the values (root mean square)"),
    }


def _histogram(confidence: np.ndarray, least: float) -> list[Facts]:
    """Bars of tasks by confidence; heights as square roots, so that few show."""
    edges = np.linspace(least, 1, _BARS + 1)
    counts, _ = np.histogram(np.clip(confidence, least, 1), edges)
    return [
        {
            "from": low,
            "to": high,
            "count": int(count),
            "height": 100 * float(np.sqrt(count / max(1, counts.max()))),
        }
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]


def _calibration(run: Path, settings: AggregateSettings, confidence: np.ndarray) -> list[Facts]:
    """Tasks of the truth by confidence, and how many of them are right."""
    if not settings.truth:
        return []
    names = read_json(run / NAMES)
    truth = known_labels(settings.truth, settings.task, "--truth")
    rows = [
        (sure, truth[row["task"]] == row["label"])
        for row, sure in zip(read_labels(run), confidence.tolist(), strict=True)
        if row["task"] in truth and row["task"] not in names["golden"]
    ]
    found = []
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 0.99), (0.99, 1.01)):
        inside = [right for sure, right in rows if low <= sure < high]
        if inside:
            said = [sure for sure, _ in rows if low <= sure < high]
            found.append(
                {
                    "range": f"{low:.0%} to {min(high, 1):.0%}",
                    "tasks": len(inside),
                    "said": float(np.mean(said)),
                    "right": float(np.mean(inside)),
                }
            )
    return found


def _disputed(run: Path, answers: Any, posterior: np.ndarray) -> list[Facts]:
    """The least certain tasks with their votes."""
    votes = answers.votes()
    golden = read_json(run / NAMES)["golden"]
    rows = []
    for code in np.argsort(posterior.max(axis=1), kind="stable").tolist():
        if answers.tasks[code] in golden:
            continue
        order = np.lexsort((-votes[code], -posterior[code]))[:4].tolist()
        rows.append(
            {
                "task": _short(answers.tasks[code]),
                "answers": int(votes[code].sum()),
                "choices": [
                    {
                        "label": _short(answers.labels[one]),
                        "p": float(posterior[code, one]),
                        "votes": int(votes[code, one]),
                    }
                    for one in order
                    if votes[code, one] or posterior[code, one] > 0.005
                ],
            }
        )
        if len(rows) == _ROWS:
            break
    return rows


def _confusion(answers: Any, posterior: np.ndarray) -> Facts:
    """What workers answer together, by what is right: shares of the expected answers."""
    labels = len(answers.labels)
    counts = np.asarray(answers.by_task.T @ posterior).reshape(-1, labels, labels).sum(axis=0).T
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:_CLASSES])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    rows = [
        {
            "truth": _short(answers.labels[truth]),
            "cells": [
                {"share": float(shares[truth, given]), "level": level(float(shares[truth, given]), 0, 1)}
                for given in kept
            ],
        }
        for truth in kept
    ]
    names = [_short(answers.labels[one]) for one in kept]
    return {"names": names, "rows": rows, "levels": LEVELS, "more": labels - len(kept)}


def _others(run: Path, summary: Facts) -> list[Facts]:
    """Each quick method: on how many tasks it differs, and how right it is."""
    answers, posterior = load_answers(run), np.asarray(load_array(run / POSTERIOR))
    best = (posterior > posterior.max(axis=1, keepdims=True) - 1e-12).argmax(axis=1)
    judged = (summary["judged"] or {}).get("others", {})
    return [
        {
            "name": name,
            "own": name == summary["method"],
            "differs": int((np.asarray(other) != best).sum()),
            "share": float((np.asarray(other) != best).mean()),
            "accuracy": judged.get(name, {}).get("accuracy"),
            "f1": judged.get(name, {}).get("f1"),
        }
        for name, other in read_json(run / OTHERS).items()
        if len(answers)
    ]


def _scatter(workers: Sequence[Facts], measure: str, said: str) -> Markup:
    """Workers by the answers they gave (a logarithmic axis) and a measure of their reliability."""
    used = sorted(workers, key=lambda row: -int(row["answers"]))[:_DOTS]
    x = [float(np.log10(max(1, int(row["answers"])))) for row in used]
    y = [float(row[measure]) for row in used]
    return line_chart(
        [Series("worker", x, y, "points main")],
        title=f"Workers by answers and {said}",
        x_label="answers given",
        y_label=said,
        x_text=lambda value: f"{10**value:,.0f}",
        y_text="{:.2g}".format,
    )


def _worker(row: Facts) -> Facts:
    return {**row, "worker": _short(row["worker"])}


def _by_answers(workers: Sequence[Facts]) -> list[Facts]:
    return sorted(workers, key=lambda row: (-int(row["answers"]), row["worker"]))


def _doubt(row: Facts) -> tuple[float, str]:
    return float(row["upper_bound"]), row["worker"]


def _short(text: str) -> str:
    return text[:_LABEL] + ("…" if len(text) > _LABEL else "")
