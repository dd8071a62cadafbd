"""How right the labels are, where the truth is known; and what a run says at its end."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.aggregate.stages import NAMES, OTHERS
from tasks.crowd.aggregate.tables import LABELS, WORKERS
from tasks.crowd.answers import not_numbers
from tasks.crowd.read import read_known
from tasks.run.expectations import frame_of, validate
from tasks.run.folder import versions
from tasks.storage.tables import read_json, write_text

Facts = dict[str, Any]

PAGES = "expectations"


def judge(run: Path, settings: AggregateSettings, inferred: Facts) -> Facts:
    """Accuracy, and F1 of two labels; mean absolute and root mean square error of numbers. Golden tasks do not count."""
    if not settings.truth:
        return {"files": []}
    names = read_json(run / NAMES)
    unusable = not_numbers if settings.of_numbers else None
    truth = read_known(settings.truth, settings.task, "--truth", unusable=unusable).labels
    found = {row["task"]: row["label"] for row in read_labels(run)}
    tasks = [task for task in truth if task in found and task not in names["golden"]]
    right = [truth[task] for task in tasks]
    counts = {"judged": len(tasks), "without_answers": sum(task not in found for task in truth)}
    if settings.of_numbers:
        away = np.array([float(found[task]) for task in tasks]) - np.array([float(one) for one in right])
        errors = {"mae": float(np.abs(away).mean()), "rmse": float(np.sqrt((away**2).mean()))}
        return {"files": [], **counts, **errors}
    said: Facts = {
        "files": [],
        **counts,
        **_right(right, [found[task] for task in tasks], names["labels"], settings),
    }
    if settings.compare:
        place = {task: code for code, task in enumerate(names["tasks"])}
        said["others"] = {
            name: _right(
                right, [names["labels"][best[place[task]]] for task in tasks], names["labels"], settings
            )
            for name, best in read_json(run / OTHERS).items()
        }
    return said


def read_labels(run: Path) -> list[Facts]:
    """The rows of labels.csv."""
    return _rows(run / LABELS)


def read_workers(run: Path) -> list[Facts]:
    """The rows of workers.csv."""
    return _rows(run / WORKERS)


def gate(run: Path, settings: AggregateSettings, inferred: Facts) -> Facts:
    """Great Expectations over labels.csv and workers.csv: each task once, with a known label and a probability.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    names = read_json(run / NAMES)
    labels = [{**row, "id": row["task"], "confidence": float(row["confidence"])} for row in read_labels(run)]
    expectations: list[Any] = [
        gxe.ExpectTableRowCountToEqual(value=len(names["tasks"])),
        gxe.ExpectColumnValuesToBeUnique(column="task"),
        gxe.ExpectColumnValuesToBeBetween(column="confidence", min_value=0, max_value=1),
    ]
    if not settings.of_numbers:
        expectations.append(gxe.ExpectColumnValuesToBeInSet(column="label", value_set=names["labels"]))
    validate("labels", frame_of(labels, ["id", "task", "label", "confidence"]), expectations, run / PAGES)
    return {"files": [f"{PAGES}/docs/index.html"]}


def publish(run: Path, settings: AggregateSettings) -> None:
    """Copies of the tables where --output says."""
    if not settings.output:
        return
    output = Path(settings.output)
    for source, target in ((LABELS, output), (WORKERS, output.parent / WORKERS)):
        write_text(target, (run / source).read_text(encoding="utf-8"))


def summarise(settings: AggregateSettings, *, data: Facts, inferred: Facts, judged: Facts) -> Facts:
    """The figures of a run, machine-readable."""
    return {
        "method": settings.method,
        "of_numbers": settings.of_numbers,
        "seed": settings.seed,
        **{name: value for name, value in data.items() if name not in ("files", "seconds")},
        **{name: value for name, value in inferred.items() if name not in ("files", "seconds")},
        "judged": {name: value for name, value in judged.items() if name not in ("files", "seconds")} or None,
        "versions": versions(),
    }


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    alpha = summary["alpha"]
    columns = [
        ("tasks", f"{summary['tasks']:,}"),
        ("workers", f"{summary['workers']:,}"),
        ("answers", f"{summary['answers']:,}"),
        ("Krippendorff's alpha", "–" if alpha is None else f"{alpha:.3f}"),
    ]
    if summary["left_out"]:
        columns.append(("workers left out", f"{summary['left_out']:,}"))
    columns += [(name, text) for name, text in _judged(summary["judged"] or {})]
    return [[name for name, _ in columns], [value for _, value in columns]]


def _judged(judged: Facts) -> list[tuple[str, str]]:
    names = {
        "accuracy": "accuracy",
        "f1": "F1",
        "mae": "mean absolute error",
        "rmse": "root mean square error",
    }
    digits = {"mae": 3, "rmse": 3}
    return [
        (name, f"{judged[key]:.{digits.get(key, 4)}f}")
        for key, name in names.items()
        if judged.get(key) is not None
    ]


def _right(truth: list[str], found: list[str], labels: list[str], settings: AggregateSettings) -> Facts:
    accuracy = float(np.mean([one == other for one, other in zip(truth, found, strict=True)]))
    if len(labels) != 2:
        return {"accuracy": accuracy, "f1": None}
    positive = settings.positive or labels[1]
    f1 = f1_score([one == positive for one in truth], [one == positive for one in found], zero_division=0)
    return {"accuracy": accuracy, "f1": float(f1)}


def _rows(path: Path) -> list[Facts]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
