"""A round: clusters are chosen, a block of each is scored, and bought where its mean is above the threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.prepare.documents import read_documents
from tasks.prepare.student import model_path
from tasks.quad.curvature import DIRECTION
from tasks.quad.scoring import score_documents
from tasks.quad.settings import QuadSettings
from tasks.run import terminal
from tasks.run.arrays import load_array
from tasks.run.seeds import integer
from tasks.run.tables import read_json, read_rows, write_json, write_table
from tasks.select.neighbours import NeighbourBandit, Visit, find_neighbours, interval

Facts = dict[str, Any]

SCORES = pa.schema(
    [
        ("row", pa.int64()),  # of the corpus table
        ("document_id", pa.string()),
        ("score", pa.float64()),  # influence on the reference per token, larger is better
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
        ("low", pa.float64()),  # interval of the cluster's mean, of all its documents scored so far
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


def visit(
    run: Path, settings: QuadSettings, plan: Facts, clusters: Facts, curvature: Facts, before: Facts
) -> Facts:
    """Choose clusters, score their documents, decide what is bought, and tell the bandit.

    A visit whose interval has the threshold inside scores further blocks, while the settings allow. The threshold is from all
    scores so far, those of this round among them.

    Args:
        plan: of the round, by `finish.next_round`; the last visit's first block may go beyond its documents.
    """
    number = plan["number"]
    at = round_folder(run, number)
    bandit = _bandit(run, settings, before)
    earlier = [row for before_it in range(1, number) for row in _scores(run, before_it)]
    made = [Scored(one) for one in bandit.choose(plan["visits"], settings.block)]
    pending = [(one, one.visit.rows) for one in made]
    for further in range(settings.more_blocks, -1, -1):
        _score(run, settings, curvature["mark"], pending, _count(made))
        seen = np.concatenate([[row["score"] for row in earlier], *(one.scores for one in made)])
        owners = [row["cluster"] for row in earlier]
        owners += [one.visit.cluster for one in made for _ in one.documents]
        tau = threshold(seen, np.array(owners), bandit.sizes, settings.tau_quantile)
        pending = _further(made, tau, bandit, settings, plan["documents"]) if further else []
    spread = float(np.std(seen)) if len(seen) > 1 else 1.0
    scores, told = _decide(number, made, tau, bandit, settings)
    write_table(at / "scores.parquet", scores, SCORES)
    write_table(at / "visits.parquet", told, VISITS)
    write_json(at / "state.json", {**bandit.state(), "spread": spread})
    name = at.relative_to(run)
    bought = [row for row in scores if row["bought"]]
    return {
        "files": [f"{name}/scores.parquet", f"{name}/visits.parquet", f"{name}/state.json"],
        "scored": before["scored"] + len(scores),
        "bought": before["bought"] + len(bought),
        "bought_tokens": before["bought_tokens"] + sum(row["tokens"] for row in bought),
        "tau": tau,
        "left": int(bandit.left.sum()),
        "number": number,
    }


def nothing_yet(corpus: Facts) -> Facts:
    """What is known before the first round."""
    return {
        "scored": 0,
        "bought": 0,
        "bought_tokens": 0,
        "tau": None,
        "left": corpus["documents"],
        "number": 0,
    }


def _bandit(run: Path, settings: QuadSettings, before: Facts) -> NeighbourBandit:
    state = read_json(round_folder(run, before["number"]) / "state.json") if before["number"] else None
    bandit = NeighbourBandit(
        load_array(run / "stages/labels.npy"),
        find_neighbours(load_array(run / "stages/centroids.npy"), settings.radius),
        # In units of the scores, which have none that anybody knows beforehand.
        alpha=settings.alpha * (state["spread"] if state else 0.0),
        seed=integer(settings.seed, "visits"),
    )
    if state:
        bandit.restore(state)
    return bandit


def _count(made: list[Scored]) -> int:
    """Documents that were scored in this round."""
    return sum(len(one.documents) for one in made)


def _score(
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
        model=model_path(run, settings.model),
        student=settings.model,
        direction=str(run / DIRECTION),
        mark=mark,
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


def _further(
    made: list[Scored], tau: float, bandit: NeighbourBandit, settings: QuadSettings, most: int
) -> list[tuple[Scored, np.ndarray]]:
    """Another block of each visit that is still open, while `most` documents of the round are not reached."""
    room = most - _count(made)
    pending = []
    for one in made:
        if room >= settings.block and _is_open(one, tau, bandit, settings.confidence):
            rows = bandit.next_rows(one.visit.cluster, settings.block)
            room -= len(rows)
            if len(rows):
                pending.append((one, rows))
    return pending


def _is_open(one: Scored, tau: float, bandit: NeighbourBandit, confidence: float) -> bool:
    """Whether what is scored of a visit does not tell yet on which side of tau its cluster is."""
    cluster, scores = one.visit.cluster, one.scores
    low, high = interval(
        bandit.scored[cluster] + len(scores),
        bandit.sums[cluster] + scores.sum(),
        bandit.squares[cluster] + np.square(scores).sum(),
        bandit.size(cluster),
        confidence,
    )
    return low <= tau <= high


def _decide(
    number: int, made: list[Scored], tau: float, bandit: NeighbourBandit, settings: QuadSettings
) -> tuple[list[Facts], list[Facts]]:
    """Rows of the two tables of a round."""
    scores: list[Facts] = []
    visits: list[Facts] = []
    for one in made:
        cluster = one.visit.cluster
        reward = bandit.observe(cluster, one.scores, tau)
        low, high = bandit.interval(cluster, settings.confidence)
        own = [
            {
                **document,
                "cluster": cluster,
                "round": number,
                "bought": (reward > 0) if settings.buy == "blocks" else document["score"] > tau,
            }
            for document in one.documents
        ]
        scores += own
        visits.append(
            {
                "round": number,
                "cluster": cluster,
                "size": bandit.size(cluster),
                "remaining": int(bandit.left[cluster]),
                "visits": int(bandit.visits[cluster]),
                "documents": len(own),
                "tokens": sum(row["tokens"] for row in own),
                "mean": float(np.mean(one.scores)),
                "low": low,
                "high": high,
                "tau": tau,
                "reward": reward,
                "bought": sum(row["bought"] for row in own),
                "exploit": one.visit.exploit,
                "bonus": one.visit.bonus,
            }
        )
    return scores, visits


def threshold(scores: np.ndarray, clusters: np.ndarray, sizes: np.ndarray, quantile: float) -> float:
    """A quantile of the scores of all documents in the clusters that were visited, estimated from those that were scored.

    Good clusters are visited more often. Each scored document stands for as many as its cluster has for every one that was
    scored; without that the threshold would rise with what the bandit has learnt, and shut out the good clusters in the end.

    Args:
        scores, clusters: of the scored documents, (n,).
        sizes: documents of each cluster, (k,).
    """
    weights = sizes[clusters] / np.bincount(clusters, minlength=len(sizes))[clusters]
    return float(np.quantile(scores, quantile, weights=weights, method="inverted_cdf"))


def all_scores(run: Path, rounds: int) -> list[Facts]:
    """Every scored document, in the order of the visits."""
    return [row for number in range(1, rounds + 1) for row in _scores(run, number)]


def _scores(run: Path, number: int) -> list[Facts]:
    return read_rows(round_folder(run, number) / "scores.parquet")


def all_visits(run: Path, rounds: int) -> list[Facts]:
    return [
        row
        for number in range(1, rounds + 1)
        for row in read_rows(round_folder(run, number) / "visits.parquet")
    ]
