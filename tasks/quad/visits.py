"""Visits: documents of a cluster that are scored together, and the rows that tables have of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.prepare.documents import read_documents
from tasks.quad.curvature import direction_path, model_paths
from tasks.quad.scoring import score_documents
from tasks.quad.settings import QuadSettings
from tasks.run import terminal
from tasks.select.neighbours import Visit
from tasks.storage.tables import read_rows

Facts = dict[str, Any]

FULL = 0.95  # of the budget: the best documents matter more than the last tokens

SCORES = pa.schema(
    [
        ("row", pa.int64()),  # of the corpus table
        ("document_id", pa.string()),
        ("score", pa.float64()),  # see the setting of this name; larger is better
        ("cluster", pa.int32()),
        ("round", pa.int32()),
        ("tokens", pa.int64()),
        ("bought", pa.bool_()),
    ]
)
VISITS = pa.schema(
    [
        ("round", pa.int32()),
        ("cluster", pa.int32()),
        ("size", pa.int32()),  # documents of the cluster
        ("remaining", pa.int32()),  # not scored, after this visit
        ("visits", pa.int32()),  # of this cluster, after this one
        ("documents", pa.int32()),  # scored in this visit
        ("tokens", pa.int64()),  # of these
        ("mean", pa.float64()),  # of their scores
        ("low", pa.float64()),  # interval of the mean of all of the cluster's documents
        ("high", pa.float64()),
        ("tau", pa.float64()),
        ("reward", pa.float64()),  # mean - tau
        ("bought", pa.int32()),  # of its documents
        ("exploit", pa.float64()),  # the two terms of the score it was chosen by
        ("bonus", pa.float64()),
    ]
)


@dataclass(slots=True)
class Scored:
    """A visit with what came of it."""

    visit: Visit
    documents: list[Facts] = field(default_factory=list)  # row, document_id, tokens and score of each

    @property
    def scores(self) -> np.ndarray:
        return np.array([document["score"] for document in self.documents])


def round_folder(run: Path, number: int) -> Path:
    return run / f"rounds/{number:03d}"


def score_visits(
    run: Path,
    settings: QuadSettings,
    mark: str,
    pending: list[tuple[Scored, np.ndarray]],
    before: int,
) -> None:
    """Score the documents of visits, all together, and add them to the visits; `before` were scored in this round."""
    rows = [row for _, own in pending for row in own.tolist()]
    documents = list(read_documents(run, rows))
    scores = score_documents(
        [document["text"] for document in documents],
        models=[
            (model, str(direction_path(run, number)))
            for number, model in enumerate(model_paths(run, settings))
        ],
        student=settings.model,
        mark=mark,
        score=settings.score,
        sequence_tokens=settings.sequence_tokens,
        batch_tokens=settings.batch_tokens,
    )
    found = zip(rows, documents, scores, strict=True)
    for one, own in pending:
        for row, document, score in islice(found, len(own)):
            known = {"row": row, "document_id": document["id"], "tokens": document["tokens"]}
            one.documents.append({**known, "score": score})
        before += len(own)
        terminal.current().progress("documents scored", before)


def rows_of(one: Scored, number: int, bought: np.ndarray) -> list[Facts]:
    """Rows of the scores of a visit's documents."""
    return [
        {**document, "cluster": one.visit.cluster, "round": number, "bought": bool(own)}
        for document, own in zip(one.documents, bought, strict=True)
    ]


def told_of(one: Scored, number: int, tau: float, own: Sequence[Facts]) -> Facts:
    """What the row of a visit says of its documents."""
    mean = float(np.mean(one.scores))
    return {
        "round": number,
        "cluster": one.visit.cluster,
        "documents": len(own),
        "tokens": sum(row["tokens"] for row in own),
        "mean": mean,
        "tau": tau,
        "reward": mean - tau,
        "bought": sum(row["bought"] for row in own),
        "exploit": one.visit.exploit,
        "bonus": one.visit.bonus,
    }


def within(order: Sequence[Facts], budget: int) -> list[Facts]:
    """The first documents whose tokens fit a budget; what does not fit is passed over while the budget is not `FULL`."""
    chosen, left = [], budget
    for row in order:
        if row["tokens"] <= left:
            chosen.append(row)
            left -= row["tokens"]
        elif left <= (1 - FULL) * budget:
            break
    return chosen


def affordable(scores: Sequence[Facts], budget: int) -> list[Facts]:
    """The best of the scored documents that fit a budget, the best first."""
    return within(sorted(scores, key=lambda row: -row["score"]), budget)


def all_scores(run: Path, rounds: int) -> list[Facts]:
    """Every document that was scored in the first rounds, in the order of the visits."""
    return _all(run, rounds, "scores")


def all_visits(run: Path, rounds: int) -> list[Facts]:
    """Every visit of the first rounds, in order."""
    return _all(run, rounds, "visits")


def _all(run: Path, rounds: int, table: str) -> list[Facts]:
    return [
        row
        for number in range(1, rounds + 1)
        for row in read_rows(round_folder(run, number) / f"{table}.parquet")
    ]
