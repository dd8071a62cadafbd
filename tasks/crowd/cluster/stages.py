"""The stages of `sluice crowd cluster` over a run's folder: read, estimate, write what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.rows import REJECTS
from tasks.crowd.cluster.crowd import Asked
from tasks.crowd.cluster.models import price_of_pair
from tasks.crowd.cluster.people import WANTED
from tasks.crowd.cluster.records import candidates_of
from tasks.crowd.cluster.rounds import DECIDED, heard, load_decided, plan_of
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.crowd.cost.estimate import expected
from tasks.crowd.cost.pages import pages
from tasks.storage.sheets import write_csv
from tasks.storage.tables import REJECTED, write_table

Facts = dict[str, Any]

ANSWERS, WORKERS = "answers.csv", "workers.csv"

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
        "expected_cost": None if each is None else awaited.questions * each,
        "cost_of_everything": None if each is None else len(found.pairs) * each,
    }


def answered(run: Path, settings: ClusterSettings, rounds: Sequence[Facts]) -> Facts:
    """All that was answered as tables of answers and workers, and what it cost."""
    asked = heard(run, settings, len(rounds))
    answers: Facts = {"answers": 0, "workers": 0}
    if asked.rounds:
        answers = _write_answers(run, settings, asked)
    else:
        write_csv(run / ANSWERS, ("left_id", "right_id", "worker", "label"), ())
        write_csv(run / WORKERS, _WORKER_HEAD, ())
    (run / WANTED).unlink(missing_ok=True)
    rows = np.array(
        [row for row, match in enumerate(load_decided(run)["match"]) if match is not None], np.int64
    )
    return {
        "files": [DECIDED, ANSWERS, WORKERS],
        "questions": len(rows),
        "rounds": [list(one) for one in asked.rounds],
        "undecided": sum(one["undecided"] for one in rounds),
        "pages": None if settings.judges else _pages(settings, rows),
        "cost": sum(one["cost"] for one in rounds),
        **answers,
    }


def _pages(settings: ClusterSettings, rows: np.ndarray) -> int:
    """How many pages people need for these pairs."""
    pairs = candidates_of(settings).pairs
    return len(pages(pairs.left[rows], pairs.right[rows], settings.page_records))


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
