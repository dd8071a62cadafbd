"""What a run leaves: labels and predictions, workers, what to ask about next, the figures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.learn.methods import entropy
from tasks.crowd.learn.settings import CrowdLearningSettings
from tasks.crowd.learn.stages import ITEMS, NAMES, POSTERIOR, PROBABILITIES, load_answers
from tasks.crowd.read import known_labels
from tasks.crowd.truth.inferred import quality_of
from tasks.run.expectations import frame_of, validate
from tasks.run.folder import versions
from tasks.storage.arrays import load_array
from tasks.storage.sheets import write_csv
from tasks.storage.tables import read_json, read_rows

Facts = dict[str, Any]

LABELS, PREDICTIONS, NEXT, WORKERS = "labels.csv", "predictions.csv", "next.csv", "workers.csv"
PAGES = "expectations"
_SURE = 0.9


def tables(run: Path, settings: CrowdLearningSettings, learned: Facts) -> Facts:
    """Write labels.csv, where a model is left predictions.csv for the items nobody answered, next.csv and workers.csv."""
    answers, names = load_answers(run), read_json(run / NAMES)
    tasks = [row["task"] for row in read_rows(run / ITEMS, ["task"])]
    found = np.asarray(load_array(run / PROBABILITIES))
    sure, unsure = found.max(axis=1), entropy(found)
    given = np.zeros(len(tasks), np.int64)
    given[names["place"]] = answers.per_task
    rows = [
        [task, answers.labels[label], f"{confidence:.6f}", count]
        for task, label, confidence, count in zip(
            tasks, found.argmax(axis=1).tolist(), sure.tolist(), given.tolist(), strict=True
        )
    ]
    head = ["task", "label", "confidence"]
    if settings.leaves_model:
        write_csv(run / LABELS, head, (row[:-1] for row in rows if row[-1]))
        write_csv(run / PREDICTIONS, head, (row[:-1] for row in rows if not row[-1]))
    else:
        write_csv(run / LABELS, [*head, "answers"], rows)
    order = np.lexsort((np.arange(len(tasks)), -unsure)).tolist()
    write_csv(
        run / NEXT,
        ["task", "score", "answers"],
        ([tasks[at], f"{unsure[at]:.6f}", given[at]] for at in order),
    )
    quality = quality_of(answers, np.asarray(load_array(run / POSTERIOR)))
    by_answers = np.lexsort((np.arange(len(quality)), -answers.per_worker)).tolist()
    workers = ([answers.workers[at], answers.per_worker[at], f"{quality[at]:.6f}"] for at in by_answers)
    write_csv(run / WORKERS, ["worker", "answers", "quality"], workers)
    files = [LABELS, NEXT, WORKERS, *([PREDICTIONS] if settings.leaves_model else [])]
    return {"files": files, "unsure": int((sure < _SURE).sum())}


def gate(run: Path, settings: CrowdLearningSettings, written: Facts) -> Facts:
    """Great Expectations over labels.csv and predictions.csv: each item once, with a known label and a probability.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    labels, items = read_json(run / NAMES)["labels"], read_rows(run / ITEMS, ["task"])
    rows = [
        {**row, "id": row["task"], "confidence": float(row["confidence"])}
        for row in all_labels(run, settings)
    ]
    expectations = [
        gxe.ExpectTableRowCountToEqual(value=len(items)),
        gxe.ExpectColumnValuesToBeUnique(column="task"),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=labels),
        gxe.ExpectColumnValuesToBeBetween(column="confidence", min_value=0, max_value=1),
    ]
    validate("labels", frame_of(rows, ["id", "task", "label", "confidence"]), expectations, run / PAGES)
    return {"files": [f"{PAGES}/docs/index.html"]}


def judge(run: Path, settings: CrowdLearningSettings, learned: Facts, compared: Facts) -> Facts:
    """Accuracy where the truth is known, of items answered and of the others, beside the baselines."""
    own = np.asarray(load_array(run / PROBABILITIES)).argmax(axis=1)
    found = {name: np.asarray(load_array(run / file)) for name, file in compared["of"].items()}
    found[settings.method] = own
    said: Facts = {
        name: {"differs": int((best != own).sum()), "answered": None, "others": None}
        for name, best in found.items()
    }
    if not settings.truth:
        return {"files": [], "methods": said, "judged": {"answered": 0, "others": 0}}
    names = read_json(run / NAMES)
    tasks = [row["task"] for row in read_rows(run / ITEMS, ["task"])]
    truth = known_labels(settings.truth, settings.task, "--truth")
    right = np.array([truth.get(task, "") for task in tasks], dtype=object)
    labels = np.array(names["labels"], dtype=object)
    known = right != ""
    answered = np.zeros(len(tasks), dtype=bool)
    answered[names["place"]] = True
    parts = {"answered": known & answered, "others": known & ~answered}
    for name, best in found.items():
        for part, rows in parts.items():
            said[name][part] = float((labels[best[rows]] == right[rows]).mean()) if rows.any() else None
    return {"files": [], "methods": said, "judged": {part: int(rows.sum()) for part, rows in parts.items()}}


def summarise(
    settings: CrowdLearningSettings, *, data: Facts, learned: Facts, written: Facts, judged: Facts
) -> Facts:
    """The figures of a run, machine-readable."""
    own = judged["methods"][settings.method]
    return {
        "method": settings.method,
        "seed": settings.seed,
        **{name: value for name, value in data.items() if name not in ("files", "seconds", "features")},
        "temperature": learned["temperature"],
        "unsure": written["unsure"],
        "accuracy": own["answered"],
        "accuracy_of_predictions": own["others"],
        "judged": judged["judged"],
        "methods": judged["methods"],
        "versions": versions(),
    }


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("items", f"{summary['items']:,}"),
        ("answered", f"{summary['tasks']:,}"),
        ("workers", f"{summary['workers']:,}"),
        ("below 90 % sure", f"{summary['unsure']:,}"),
    ]
    for key, name in (("accuracy", "accuracy"), ("accuracy_of_predictions", "of predictions")):
        if summary[key] is not None:
            columns.append((name, f"{summary[key]:.4f}"))
    return [[name for name, _ in columns], [value for _, value in columns]]


def all_labels(run: Path, settings: CrowdLearningSettings) -> list[Facts]:
    """The rows of labels.csv and predictions.csv."""
    predicted = read_csv(run / PREDICTIONS) if settings.leaves_model else []
    return [*read_csv(run / LABELS), *predicted]


def read_csv(path: Path) -> list[Facts]:
    """The rows of a table of a run."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
