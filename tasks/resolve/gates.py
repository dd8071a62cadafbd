"""Great Expectations at the seams of `batcher`: pairs before they are compared and labelled, predictions before they are told.

As in tasks/loop/outcome/gates.py it sees ids and measures, never a record's text.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.match.read import LEFT, RIGHT
from tasks.resolve.finish import BY_LABEL, BY_MATCHER, BY_MODEL, PREDICTIONS, UNDECIDED
from tasks.resolve.prepare import POOL, POOL_FEATURES, QUESTION_FEATURES, QUESTIONS, load_pairs
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.run.expectations import frame_of, pair_id, validate
from tasks.storage.arrays import load_array

Facts = dict[str, Any]

PAGES = "expectations"
_DOCS = f"{PAGES}/docs/index.html"


def pairs(run: Path, settings: BatcherSettings, pairs: Facts, features: Facts) -> Facts:
    """Questions and pool: each pair once, of two records, one of which says something, with finite features.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    for gate, table, measured in (
        ("questions", QUESTIONS, QUESTION_FEATURES),
        ("pool", POOL, POOL_FEATURES),
    ):
        finite = np.isfinite(load_array(run / measured)).all(axis=1)
        columns = ["id", "same_record", "characters", "features_finite", "label"]
        validate(
            gate,
            frame_of(_measured_pairs(run / table, settings, finite), columns),
            [
                gxe.ExpectTableRowCountToEqual(value=len(finite)),
                gxe.ExpectColumnValuesToBeUnique(column="id"),
                gxe.ExpectColumnValuesToBeInSet(column="same_record", value_set=[0]),
                gxe.ExpectColumnValuesToBeBetween(column="characters", min_value=1),
                gxe.ExpectColumnValuesToBeInSet(column="features_finite", value_set=[1]),
                gxe.ExpectColumnValuesToBeInSet(column="label", value_set=[0, 1]),  # where there is one
            ],
            run / PAGES,
        )
    return {"files": [_DOCS]}


def predictions(run: Path, settings: BatcherSettings, tables: Facts) -> Facts:
    """One prediction for every question; what nobody decided is no match; one-to-one is that.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    deciders = [BY_LABEL, BY_MATCHER, BY_MODEL, UNDECIDED]
    columns = ["id", "probability", "match", "decided_by", "undecided_match", "partners"]
    expectations = [
        gxe.ExpectTableRowCountToEqual(value=len(load_pairs(run / QUESTIONS))),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToNotBeNull(column="probability"),
        gxe.ExpectColumnValuesToBeBetween(column="probability", min_value=0, max_value=1),
        gxe.ExpectColumnValuesToBeInSet(column="match", value_set=[0, 1]),
        gxe.ExpectColumnValuesToBeInSet(column="decided_by", value_set=deciders),
        gxe.ExpectColumnValuesToBeInSet(column="undecided_match", value_set=[0]),
    ]
    if settings.resolve == "one-to-one":
        expectations.append(gxe.ExpectColumnValuesToBeBetween(column="partners", max_value=1))
    validate(
        "predictions", frame_of(_measured_predictions(run / PREDICTIONS), columns), expectations, run / PAGES
    )
    return {"files": [_DOCS]}


def _measured_pairs(path: Path, settings: BatcherSettings, finite: np.ndarray) -> Iterator[Facts]:
    records, found = records_of(settings), load_pairs(path)
    left, right = (
        [
            sum(len(table.columns[name][row].strip()) for name in records.attributes)
            for row in range(len(table))
        ]
        for table in (records.left, records.other)
    )
    labels = [None] * len(found) if found.labels is None else found.labels.tolist()
    for one, other, label, whole in zip(
        found.left.tolist(), found.right.tolist(), labels, finite.tolist(), strict=True
    ):
        yield {
            "id": pair_id(records.left.ids[one], records.other.ids[other]),
            "same_record": int(records.right is None and one == other),
            "characters": left[one] + right[other],
            "features_finite": int(whole),
            "label": label,
        }


def _measured_predictions(path: Path) -> Iterator[Facts]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    matched = [row for row in rows if row["match"] == "1"]
    ours, theirs = (Counter(row[name] for row in matched) for name in (LEFT, RIGHT))
    for row in rows:
        match = int(row["match"])
        yield {
            "id": pair_id(row[LEFT], row[RIGHT]),
            "probability": float(row["probability"]),
            "match": match,
            "decided_by": row["decided_by"],
            "undecided_match": int(match and row["decided_by"] == UNDECIDED),
            "partners": max(ours[row[LEFT]], theirs[row[RIGHT]]) if match else 0,
        }
