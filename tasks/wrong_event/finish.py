"""What a run leaves: labels.csv with the suspicious rows first, the figures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from tasks.classify.classifier import Classifier
from tasks.run.expectations import frame_of, validate
from tasks.run.folder import versions
from tasks.storage.arrays import load_array
from tasks.storage.sheets import write_csv
from tasks.storage.tables import read_json, read_rows, write_json
from tasks.train.threads import one_thread
from tasks.wrong_event.settings import WrongEventSettings
from tasks.wrong_event.stages import (
    CLASSES,
    CLEAN,
    EVENTS,
    MODEL,
    PREDICTED,
    ROWS,
    TEST,
    TEST_VALUES,
    given_labels,
    rows_of,
)

Facts = dict[str, Any]

LABELS = "labels.csv"
HEAD = ["row", "given", "predicted", "p_clean", "wrong_events"]
PAGES = "expectations"


def tables(run: Path, settings: WrongEventSettings, trained: Facts) -> Facts:
    """Write labels.csv, and judge the model on the test rows."""
    rows = suspicious_first(run)
    cells = ({**row, "p_clean": f"{row['p_clean']:.6f}"} for row in rows)
    write_csv(run / LABELS, HEAD, [[row[name] for name in HEAD] for row in cells])
    flagged = [row for row in rows if row["p_clean"] < settings.threshold]
    return {
        "files": [LABELS],
        "flagged": len(flagged),
        "relabelled": sum(row["predicted"] != row["given"] for row in flagged),
        "accuracy": _accuracy(run, settings) if settings.test else None,
    }


def suspicious_first(run: Path) -> list[Facts]:
    """Every row with its place in the file, given and predicted class, P(clean) and wrong events; the least clean first."""
    classes = read_json(run / CLASSES)
    clean, events = np.asarray(load_array(run / CLEAN)), np.asarray(load_array(run / EVENTS))
    predicted = load_array(run / PREDICTED).argmax(axis=1)
    rows = read_rows(run / ROWS)
    return [
        {
            "row": rows[place]["row"],
            "text": rows[place]["text"],
            "given": classes[rows[place]["label"]],
            "predicted": classes[predicted[place]],
            "p_clean": float(clean[place]),
            "wrong_events": int(events[place]),
        }
        for place in np.lexsort((np.arange(len(rows)), -events, clean)).tolist()
    ]


def gate(run: Path, settings: WrongEventSettings, tables: Facts) -> Facts:
    """Great Expectations over labels.csv: every row once, known classes, probabilities.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    classes = read_json(run / CLASSES)
    with (run / LABELS).open(encoding="utf-8", newline="") as file:
        rows = [
            {
                "id": row["row"],
                **row,
                "p_clean": float(row["p_clean"]),
                "wrong_events": int(row["wrong_events"]),
            }
            for row in csv.DictReader(file)
        ]
    validate(
        "labels",
        frame_of(rows, ["id", *HEAD]),
        [
            gxe.ExpectTableRowCountToEqual(value=len(given_labels(run))),
            gxe.ExpectColumnValuesToBeUnique(column="row"),
            gxe.ExpectColumnValuesToBeInSet(column="given", value_set=classes),
            gxe.ExpectColumnValuesToBeInSet(column="predicted", value_set=classes),
            gxe.ExpectColumnValuesToBeBetween(column="p_clean", min_value=0, max_value=1),
            gxe.ExpectColumnValuesToBeBetween(column="wrong_events", min_value=0, max_value=settings.visits),
        ],
        run / PAGES,
    )
    return {"files": [f"{PAGES}/docs/index.html"]}


def _accuracy(run: Path, settings: WrongEventSettings) -> float:
    """Share of the test rows that the saved model predicts right; one of a class that it does not know is an error."""
    labels = np.array([row["label"] for row in read_rows(run / TEST, ["label"])])
    classifier = Classifier.load(run / MODEL)
    rows = rows_of(run, TEST) if settings.text else np.asarray(load_array(run / TEST_VALUES))
    with one_thread():
        return float((classifier.probabilities(rows).argmax(axis=1) == labels).mean())


def summarise(
    settings: WrongEventSettings, *, data: Facts, warm: Facts, trained: Facts, tables: Facts
) -> Facts:
    """The figures of a run, machine-readable."""
    return {
        "label": settings.label,
        "seed": settings.seed,
        "rows": data["rows"],
        "test_rows": data["test"],
        "test_rows_of_no_class": data["unknown"],
        "classes": data["classes"],
        "rejected": data["rejected"],
        "accuracy": tables["accuracy"],
        "flagged": tables["flagged"],
        "relabelled": tables["relabelled"],
        "threshold": settings.threshold,
        "base_epoch": warm["base_epoch"],
        "changes": warm["changes"],
        "agreement": warm["agreement"],
        "losses": [warm["losses"], trained["losses"]],
        "versions": versions(),
    }


def save_summary(run: Path, summary: Facts) -> None:
    write_json(run / "summary.json", summary)


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("rows", f"{summary['rows']:,}"),
        ("flagged", f"{summary['flagged']:,}"),
        ("another class predicted", f"{summary['relabelled']:,}"),
        ("trained on from epoch", str(summary["base_epoch"])),
    ]
    if summary["accuracy"] is not None:
        columns.append(("accuracy on the test", f"{summary['accuracy']:.2%}"))
    return [[name for name, _ in columns], [value for _, value in columns]]


def epochs_table(warm: Facts, trained: Facts) -> list[list[str]]:
    """Every epoch of both stages, a heading before them."""
    rows = [["stage", "epoch", "loss", "predictions changed"]]
    changes = ["", *map(str, warm["changes"])]
    for number, (loss, changed) in enumerate(zip(warm["losses"], changes, strict=True), start=1):
        rows.append(["warm up", str(number), f"{loss:.4f}", changed])
    rows += [
        ["robust", str(number), f"{loss:.4f}", ""] for number, loss in enumerate(trained["losses"], start=1)
    ]
    return rows
