"""A round: clusters are drawn, examples of theirs are trained on, and the bandit is told how much uncertainty they lost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.lead.difficulty import CLUSTERS, LABELS
from tasks.lead.pool import examples_of_a_round, pairs_of
from tasks.lead.settings import LeadSettings
from tasks.prepare.documents import read_documents
from tasks.select.idu import Utilities
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, read_rows, write_table
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.lead.play import Played
    from tasks.train.format import Examples

Facts = dict[str, Any]

VISITS = pa.schema(
    [
        ("round", pa.int32()),
        ("row", pa.int64()),  # of the pool
        ("id", pa.string()),
        ("cluster", pa.int32()),
        ("visits", pa.int32()),  # of this example, after this one
        ("loss", pa.float64()),  # nats per answer token, just before the step
        ("gradient", pa.float64()),  # length of its gradient then
        ("idu_before", pa.float64()),  # at the beginning and at the end of the round
        ("idu_after", pa.float64()),
    ]
)
STEPS = pa.schema(
    [
        ("round", pa.int32()),
        ("step", pa.int32()),  # of the run, from 1
        ("examples", pa.int32()),
        ("tokens", pa.int64()),
        ("loss", pa.float64()),  # mean over the batch's answer tokens, nats
    ]
)
ARMS = pa.schema(
    [
        ("round", pa.int32()),
        ("cluster", pa.int32()),
        ("level", pa.int32()),  # of difficulty, 0 is the lowest
        ("size", pa.int32()),
        ("probability", pa.float64()),  # of being drawn in this round
        ("drawn", pa.int32()),  # times that it was in this round
        ("draws", pa.int32()),  # so far
        ("examples", pa.int32()),  # of it that were trained on so far
        ("idu", pa.float64()),  # mean over the cluster after the round
        (
            "reward",
            pa.float64(),
        ),  # of a cluster that was drawn; see the setting of this name
        ("scaled", pa.float64()),  # the same in -1..1, as the bandit was told
    ]
)
TABLES = {"visits": VISITS, "steps": STEPS, "arms": ARMS}


def round_folder(run: Path, number: int) -> Path:
    return run / f"rounds/{number:03d}"


def nothing_yet(pool: Facts, difficulty: Facts) -> Facts:
    """What is known before the first round."""
    return {
        "number": 0,
        "selected": 0,
        "visits": 0,
        "tokens": 0,
        "steps": 0,
        "forward_passes": 0,
        "left": pool["examples"],
        "loss": difficulty["loss"],
        "checkpoint": "",
    }


def next_round(settings: LeadSettings, pool: Facts, so_far: Facts) -> Facts | None:
    """The plan of the next round, or None: the budget is reached, or the last round was, or nothing may be visited again.

    Returns:
        number; of, how many rounds there will be if none trains on an example again; examples of the round; new, how many of them
        may be new.
    """
    room = int(pool["budget"]) - int(so_far["selected"])
    number = so_far["number"] + 1
    if room <= 0 or number > settings.rounds or not so_far["left"]:
        return None
    each = examples_of_a_round(settings, pool)
    expected = so_far["number"] + math.ceil(room / each)
    return {"number": number, "of": min(settings.rounds, expected), "examples": each, "new": room}


def train(
    run: Path, settings: LeadSettings, plan: Facts, clusters: Facts, model: Facts, before: Facts
) -> Facts:
    """Draw clusters, train on examples of theirs, foretell what that does to those visited before, tell the bandit.

    Args:
        plan: of the round, by `next_round`.
        before: what the round before it returned, or `nothing_yet`.
    """
    from tasks.lead.checkpoint import discard_before, load_checkpoint, save_checkpoint
    from tasks.lead.play import play
    from tasks.lead.steps import PassCounter
    from tasks.train.format import encode_pairs

    number, labels = plan["number"], load_array(run / LABELS)
    counter = PassCounter()
    with threads_for(settings.model):
        found = load_checkpoint(run, settings, number - 1)
        discard_before(run, number - 1)

        def examples_of(rows: np.ndarray) -> Examples:
            return encode_pairs(found.tokenizer, pairs_of(run, rows.tolist()), settings.sequence_tokens)

        with counter.counting(found.trainer.model, found.trainer.optimizer):
            played = play(found, settings, labels, number, plan["examples"], plan["new"], examples_of)
        mark = save_checkpoint(run, number, found)
    utilities, rows, steps = found.utilities, played.rows, played.steps
    visits = _visits(run, number, labels[rows], played, utilities)
    arms = _arms(run, number, labels, played, utilities)
    for name, table in (("visits", visits), ("steps", steps), ("arms", arms)):
        write_table(round_folder(run, number) / f"{name}.parquet", table, TABLES[name])
    at = round_folder(run, number).relative_to(run)
    return {
        "files": [f"{at}/{name}.parquet" for name in TABLES],
        "checkpoint": mark,
        "number": number,
        "clusters": np.flatnonzero(played.drawn).tolist(),
        "reward": played.reward,
        "idu": float(utilities.idu[rows].mean()),
        "loss": float(np.average([step["loss"] for step in steps], weights=[s["tokens"] for s in steps])),
        "selected": int((utilities.visits > 0).sum()),
        "visits": int(utilities.visits.sum()),
        "left": int((utilities.visits < settings.visits).sum()),
        "tokens": before["tokens"] + sum(step["tokens"] for step in steps),
        "steps": before["steps"] + counter.steps,
        "forward_passes": before["forward_passes"] + counter.forward_passes,
    }


def _visits(run: Path, number: int, owners: np.ndarray, played: Played, utilities: Utilities) -> list[Facts]:
    """A row for each example that the round trained on, cluster by cluster, those preferred first."""
    rows = played.rows
    documents = read_documents(run, rows.tolist(), ["id"])
    return [
        {
            "round": number,
            "row": row,
            "id": document["id"],
            "cluster": int(owner),
            "visits": int(utilities.visits[row]),
            **played.seen[row],
            "idu_before": float(before),
            "idu_after": float(utilities.idu[row]),
        }
        for row, owner, document, before in zip(
            rows.tolist(), owners, documents, played.idu_before, strict=True
        )
    ]


def _arms(run: Path, number: int, labels: np.ndarray, played: Played, utilities: Utilities) -> list[Facts]:
    """A row for each cluster."""
    described = read_json(run / CLUSTERS)
    sizes = np.bincount(labels, minlength=len(described))
    visited = np.bincount(labels[utilities.visits > 0], minlength=len(described))
    means = np.bincount(labels, utilities.idu, len(described)) / sizes
    draws = [0] * len(described)
    if number > 1:
        draws = [row["draws"] for row in arms_of_round(run, number - 1)]
    return [
        {
            "round": number,
            "cluster": one["cluster"],
            "level": one["level"],
            "size": one["size"],
            "probability": float(played.probabilities[cluster]),
            "drawn": int(played.drawn[cluster]),
            "draws": draws[cluster] + int(played.drawn[cluster]),
            "examples": int(visited[cluster]),
            "idu": float(means[cluster]),
            "reward": played.rewards[cluster][0] if cluster in played.rewards else None,
            "scaled": played.rewards[cluster][1] if cluster in played.rewards else None,
        }
        for cluster, one in enumerate(described)
    ]


def arms_of_round(run: Path, number: int) -> list[Facts]:
    """The clusters after a round, in their order."""
    return read_rows(round_folder(run, number) / "arms.parquet")


def all_rows(run: Path, rounds: int, table: str) -> list[Facts]:
    """Rows of a table of all rounds, in their order."""
    return [
        row
        for number in range(1, rounds + 1)
        for row in read_rows(round_folder(run, number) / f"{table}.parquet")
    ]
