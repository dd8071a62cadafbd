"""What a campaign leaves: labels.csv, workers.csv, answers.csv, the and the figures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.annotate.belief import coded_answers
from tasks.crowd.annotate.campaign import LAST, Campaign, opened
from tasks.crowd.annotate.rounds import standing
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.truth.agreement import agreement_with_others, krippendorff_alpha, upper_bound
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.run.expectations import frame_of, validate
from tasks.run.folder import versions
from tasks.storage.sheets import write_csv

Facts = dict[str, Any]

LABELS, WORKERS, ANSWERS = "labels.csv", "workers.csv", "answers.csv"
PAGES = "expectations"
GOLDEN, ADJUDICATED, SURE, MOST, OPEN = "golden", "adjudicated", "sure", "most answers", "open"


def tables(run: Path, settings: AnnotateSettings, played: Sequence[Facts], adjudicated: Facts) -> Facts:
    """Write the tables.

    Args:
        played: facts of the rounds.
        adjudicated: labels that were decided by hand, by item.
    """
    with opened(run, settings, LAST) as campaign:
        ways = stopped_by(campaign)
        write_csv(
            run / LABELS, ["task", "label", "confidence", "answers", "stopped_by"], _labels(campaign, ways)
        )
        write_csv(
            run / ANSWERS,
            ["task", "worker", "label", "round", "counts", "cost", "seconds"],
            _answers(campaign),
        )
        write_csv(
            run / WORKERS, list(_WORKERS), ([row[name] for name in _WORKERS] for row in workers(campaign))
        )
        alpha = (
            krippendorff_alpha(coded_answers(settings, campaign.items, campaign.answers))
            if campaign.answers
            else np.nan
        )
        return {
            "files": [LABELS, WORKERS, ANSWERS],
            **standing(campaign),
            "alpha": float(alpha) if np.isfinite(alpha) else None,
            "stopped_by": {
                way: ways.count(way) for way in (SURE, MOST, ADJUDICATED, GOLDEN, OPEN) if way in ways
            },
            "golden": int((campaign.items.golden != UNKNOWN).sum()),
            "golden_answers": sum(worker.tried for worker in campaign.workers.values()),
            "judged": int((campaign.items.truth != UNKNOWN).sum()),
            "iterations": campaign.belief.iterations,
        }


_WORKERS = (
    "worker",
    "answers",
    "quality",
    "agreement",
    "golden_right",
    "golden",
    "upper_bound",
    "eliminated",
    "median_seconds",
    "cost",
)


def stopped_by(campaign: Campaign) -> list[str]:
    """Why each item has no further answers, or that it wants more."""
    needs, found = campaign.needs(), []
    confidence = campaign.belief.posterior.max(axis=1)
    for task in range(len(campaign.items)):
        if campaign.items.golden[task] != UNKNOWN:
            found.append(GOLDEN)
        elif campaign.known[task] != UNKNOWN:
            found.append(ADJUDICATED)
        elif needs[task]:
            found.append(OPEN)
        else:
            found.append(SURE if confidence[task] >= campaign.settings.confidence else MOST)
    return found


def workers(campaign: Campaign) -> list[Facts]:
    """A row for each annotator, those with the most answers first."""
    given = campaign.answers
    coded = coded_answers(campaign.settings, campaign.items, given)
    agreement = dict(zip(coded.workers, agreement_with_others(coded).tolist(), strict=True)) if given else {}
    seconds: dict[str, list[float]] = {}
    cost: dict[str, float] = {}
    for one in given:
        cost[one.worker] = cost.get(one.worker, 0.0) + one.cost
        if one.seconds is not None:
            seconds.setdefault(one.worker, []).append(one.seconds)
    found = []
    for name, worker in campaign.workers.items():
        if not worker.answers:
            continue
        bound = upper_bound(
            np.array([worker.right]), np.array([worker.tried]), campaign.settings.eliminate_confidence
        )
        found.append(
            {
                "worker": name,
                "answers": worker.answers,
                "quality": _number(campaign.belief.quality.get(name)),
                "agreement": _number(agreement[name]),
                "golden_right": worker.right,
                "golden": worker.tried,
                "upper_bound": _number(float(bound[0])) if worker.tried else "",
                "eliminated": int(name in campaign.eliminated),
                "median_seconds": _number(float(np.median(seconds[name])), 1) if name in seconds else "",
                "cost": _number(cost[name]),
            }
        )
    return sorted(found, key=lambda row: (-row["answers"], row["worker"]))


def gate(run: Path, settings: AnnotateSettings, tables: Facts) -> Facts:
    """Great Expectations over labels.csv and answers.csv: each item once, each annotator once an item, known labels.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    rows = read_table(run / LABELS)
    labels = [
        {**row, "id": row["task"], "label": row["label"] or None, "confidence": float(row["confidence"] or 0)}
        for row in rows
    ]
    validate(
        "labels",
        frame_of(labels, ["id", "task", "label", "confidence"]),
        [
            gxe.ExpectTableRowCountToEqual(value=tables["items"] + tables["golden"]),
            gxe.ExpectColumnValuesToBeUnique(column="task"),
            gxe.ExpectColumnValuesToBeInSet(column="label", value_set=settings.labels),
            gxe.ExpectColumnValuesToBeBetween(column="confidence", min_value=0, max_value=1),
        ],
        run / PAGES,
    )
    known = {row["task"] for row in rows}
    answers = [
        {**row, "id": f"{row['task']}, {row['worker']}", "known": int(row["task"] in known)}
        for row in read_table(run / ANSWERS)
    ]
    validate(
        "answers",
        frame_of(answers, ["id", "task", "worker", "label", "known"]),
        [
            gxe.ExpectTableRowCountToEqual(value=tables["answers"]),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["task", "worker"]),
            gxe.ExpectColumnValuesToBeInSet(column="label", value_set=settings.labels),
            gxe.ExpectColumnValuesToBeInSet(column="known", value_set=[1]),
        ],
        run / PAGES,
    )
    return {"files": [f"{PAGES}/docs/index.html"]}


def summarise(settings: AnnotateSettings, tables: Facts, rounds: Sequence[Facts], expected: Facts) -> Facts:
    """The figures of a campaign, machine-readable."""
    return {
        "annotators": settings.annotators,
        "strategy": settings.strategy,
        "method": settings.method,
        "seed": settings.seed,
        "question": settings.question,
        "labels": settings.labels,
        **{name: value for name, value in tables.items() if name not in ("files", "seconds", "sure")},
        "rounds": [
            {
                name: one[name]
                for name in (
                    "number",
                    "collected",
                    "answers",
                    "items",
                    "done",
                    "sure",
                    "confidence",
                    "cost",
                    "accuracy",
                )
            }
            for one in rounds
            if one["collected"]
        ],
        "estimate": expected,
        "versions": versions(),
    }


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table of the run."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _labels(campaign: Campaign, ways: Sequence[str]) -> Iterable[list[Any]]:
    posterior, names = campaign.belief.posterior, campaign.settings.labels
    for task, id in enumerate(campaign.items.ids):
        if not campaign.counts[task] and campaign.known[task] == UNKNOWN:
            yield [id, "", "", 0, ways[task]]
            continue
        best = int(posterior[task].argmax())
        yield [id, names[best], f"{posterior[task, best]:.6f}", int(campaign.counts[task]), ways[task]]


def _answers(campaign: Campaign) -> Iterable[list[Any]]:
    """By round, item and annotator: the order in which models happened to answer does not matter."""
    ordered = sorted(campaign.answers, key=lambda one: (one.round, campaign.code[one.task], one.worker))
    for one in ordered:
        counts = int(one.worker not in campaign.eliminated)
        yield [
            one.task,
            one.worker,
            one.label,
            one.round,
            counts,
            _number(one.cost, 8),
            _number(one.seconds, 1),
        ]


def _number(value: float | None, digits: int = 6) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"
