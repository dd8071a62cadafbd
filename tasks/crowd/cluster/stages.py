"""The stages of `sluice crowd cluster` over a run's folder: read, estimate, decide."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.cluster.crowd import Asked
from tasks.crowd.cluster.models import price_of_pair
from tasks.crowd.cluster.people import WANTED
from tasks.crowd.cluster.plan import Decided
from tasks.crowd.cluster.records import candidates_of
from tasks.crowd.cluster.rounds import plan_of, replayed
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.crowd.cost.estimate import expected
from tasks.crowd.cost.pages import pages
from tasks.crowd.cost.pairs import follow
from tasks.run.tables import REJECTED, write_csv, write_json, write_table

Facts = dict[str, Any]

REJECTS, DECIDED, ANSWERS, WORKERS = "rejected.parquet", "stages/decided.json", "answers.csv", "workers.csv"

# Imagined crowds of an estimate, fewer where there are many pairs: the plan of 100,000 takes up to a minute.
_DRAWS, _FEW = 5, 50_000


def read(run: Path, settings: ClusterSettings, source: Facts) -> Facts:
    """The candidate pairs, and what they are expected to cost."""
    found = candidates_of(settings)
    write_table(run / REJECTS, (reject.row for reject in found.rejects), REJECTED)
    each = price_of_pair(settings) if settings.judges else settings.redundancy * settings.price
    draws = max(1, min(_DRAWS, _FEW // len(found.pairs)))
    awaited = expected(lambda: plan_of(settings), found.pairs, draws=draws, seed=settings.seed)
    return {
        "files": [REJECTS],
        "pairs": len(found.pairs),
        "records": found.pairs.records,
        "rejected": len(found.rejects),
        "expected_questions": awaited.questions,
        "expected_least": awaited.least,
        "expected_most": awaited.most,
        "expected_rounds": awaited.rounds,
        "expected_cost": awaited.questions * each,
        "cost_of_everything": len(found.pairs) * each,
    }


def decide(run: Path, settings: ClusterSettings, rounds: Sequence[Facts]) -> Facts:
    """Clusters and pairs by all that was answered, and the answers as a table."""
    found, asked = candidates_of(settings), replayed(run, settings)
    outcome = follow(plan_of(settings), asked)
    _save(run / DECIDED, outcome)
    answers: Facts = {"answers": 0, "workers": 0}
    if asked.rounds:
        answers = _write_answers(run, settings, asked)
    else:
        write_csv(run / ANSWERS, ("left_id", "right_id", "worker", "label"), ())
        write_csv(run / WORKERS, _WORKER_HEAD, ())
    (run / WANTED).unlink(missing_ok=True)
    rows = np.flatnonzero(~np.isnan(outcome.match))
    on_pages = pages(found.pairs.left[rows], found.pairs.right[rows], settings.page_records)
    return {
        "files": [DECIDED, ANSWERS, WORKERS],
        "questions": len(rows),
        "rounds": [list(one) for one in asked.rounds],
        "undecided": sum(one["undecided"] for one in rounds),
        "pages": len(on_pages),
        "cost": sum(one["cost"] for one in rounds),
        **answers,
    }


def load_decided(run: Path) -> Facts:
    """What `decide` left: lists of cluster, how, match (None where not asked) and dropped, with low, high and dissent."""
    found: Facts = json.loads((run / DECIDED).read_text(encoding="utf-8"))
    return found


_WORKER_HEAD = ("worker", "answers", "quality", "same_if_different", "different_if_same")


def _write_answers(run: Path, settings: ClusterSettings, asked: Asked) -> Facts:
    ids = candidates_of(settings).ids
    answers, found = asked.inferred()
    lines = (
        [*ids.names(int(answers.tasks[task])), answers.workers[worker], answers.labels[label]]
        for task, worker, label in zip(
            answers.task.tolist(), answers.worker.tolist(), answers.label.tolist(), strict=True
        )
    )
    write_csv(run / ANSWERS, ("left_id", "right_id", "worker", "label"), lines)
    confusion = found.confusion
    rows = (
        [
            name,
            int(answers.per_worker[at]),
            f"{found.quality[at]:.4f}",
            *(
                ("", "")
                if confusion is None
                else (f"{confusion[at, 0, 1]:.4f}", f"{confusion[at, 1, 0]:.4f}")
            ),
        ]
        for at, name in enumerate(answers.workers)
    )
    write_csv(run / WORKERS, _WORKER_HEAD, rows)
    return {"answers": len(answers), "workers": len(answers.workers)}


def _save(path: Path, outcome: Decided) -> None:
    dissent = outcome.dissent
    write_json(
        path,
        {
            "cluster": outcome.cluster.tolist(),
            "how": outcome.how.tolist(),
            "match": [None if np.isnan(one) else round(one, 6) for one in outcome.match.tolist()],
            "dropped": outcome.dropped.tolist(),
            "low": outcome.band.low,
            "high": outcome.band.high,
            "labels_wanted": outcome.band.wanted,
            "dissent": None
            if dissent is None
            else {
                "share": dissent.share,
                "low": dissent.low,
                "high": dissent.high,
                "asked": dissent.asked,
            },
        },
    )
