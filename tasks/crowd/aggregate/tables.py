"""The tables that `--output` copies, and their headings, by which files of an earlier run are known."""

from __future__ import annotations

LABELS, WORKERS = "labels.csv", "workers.csv"
LABEL_HEAD = ("task", "label", "confidence")
NUMBER_HEAD = (*LABEL_HEAD, "standard_error")
WORKER_HEAD = (
    "worker",
    "answers",
    "quality",
    "agreement",
    "spammer",
    "right",
    "of",
    "upper_bound",
    "left_out",
)
NUMBER_WORKER_HEAD = ("worker", "answers", "error", "weight")
