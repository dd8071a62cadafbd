"""A round: a cluster is drawn, its most uncertain examples are trained on, and the bandit is told how much of it they lost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.lead.difficulty import CLUSTERS, LABELS
from tasks.lead.pool import examples_of_a_round
from tasks.lead.settings import LeadSettings
from tasks.prepare.documents import read_documents
from tasks.run import terminal
from tasks.run.arrays import load_array
from tasks.run.seeds import generator, integer
from tasks.run.tables import read_json, read_rows, write_table
from tasks.select.idu import Utilities, choose
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.lead.checkpoint import Checkpoint

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
        ("drawn", pa.bool_()),
        ("draws", pa.int32()),  # so far
        ("examples", pa.int32()),  # of it that were trained on so far
        ("idu", pa.float64()),  # mean over the cluster after the round
        ("reward", pa.float64()),  # of the cluster that was drawn: mean fall of its examples' IDU, nats
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
    """Draw a cluster, train on its examples with the highest IDU, foretell what that does to all others, tell the bandit.

    Args:
        plan: of the round, by `next_round`.
        before: what the round before it returned, or `nothing_yet`.
    """
    from tasks.lead.checkpoint import discard_before, load_checkpoint
    from tasks.lead.steps import PassCounter

    number, labels = plan["number"], load_array(run / LABELS)
    counter = PassCounter()
    with threads_for(settings.model):
        found = load_checkpoint(run, settings, number - 1)
        discard_before(run, number - 1)
        bandit, utilities = found.bandit, found.utilities
        with counter.counting(found.trainer.model, found.trainer.optimizer):
            may = utilities.visits < settings.visits
            is_open = np.bincount(labels[may], minlength=len(bandit.weights)) > 0
            probabilities = bandit.probabilities(is_open)
            arm = bandit.draw(generator(settings.seed, "draw", number), is_open)
            rows = choose(
                utilities.idu, may & (labels == arm), utilities.visits == 0, plan["examples"], plan["new"]
            )
            idu_before = utilities.idu[rows]
            seen, steps = _train_on(run, settings, found, rows, number)
            utilities.settle()
            raw = float(np.mean(idu_before - utilities.idu[rows]))
            scaled = bandit.scaled(raw)
            bandit.update(arm, scaled, float(probabilities[arm]), int(is_open.sum()))
        mark = found.save(run, number)
    visits = _visits(run, number, arm, rows, idu_before, seen, utilities)
    arms = _arms(run, number, labels, utilities, probabilities, arm, (raw, scaled))
    for name, table in (("visits", visits), ("steps", steps), ("arms", arms)):
        write_table(round_folder(run, number) / f"{name}.parquet", table, TABLES[name])
    at = round_folder(run, number).relative_to(run)
    return {
        "files": [f"{at}/{name}.parquet" for name in TABLES],
        "checkpoint": mark,
        "number": number,
        "cluster": arm,
        "reward": raw,
        "idu": float(utilities.idu[rows].mean()),
        "loss": float(np.average([step["loss"] for step in steps], weights=[s["tokens"] for s in steps])),
        "selected": int((utilities.visits > 0).sum()),
        "visits": int(utilities.visits.sum()),
        "left": int((utilities.visits < settings.visits).sum()),
        "tokens": before["tokens"] + sum(step["tokens"] for step in steps),
        "steps": before["steps"] + counter.steps,
        "forward_passes": before["forward_passes"] + counter.forward_passes,
    }


def _train_on(
    run: Path, settings: LeadSettings, found: Checkpoint, rows: np.ndarray, number: int
) -> tuple[dict[int, Facts], list[Facts]]:
    """One pass over rows of the pool. Returns what it measured of each, and a row for each step."""
    import torch

    from tasks.lead.pool import pairs_of
    from tasks.train.format import encode_pairs, pad, plan_batches

    trainer, utilities = found.trainer, found.utilities
    examples = encode_pairs(found.tokenizer, pairs_of(run, rows.tolist()), settings.sequence_tokens)
    seen: dict[int, Facts] = {}
    steps: list[Facts] = []
    # Dropout draws from torch's global stream: the round's own for the time of its training, then as it was.
    with torch.random.fork_rng():
        torch.manual_seed(integer(settings.seed, "dropout", number))
        trainer.model.train()
        for batch in plan_batches(
            examples.lengths, found.batch_tokens, generator(settings.seed, "batches", number)
        ):
            step = trainer.step(*pad(examples, batch, 0))
            utilities.visit(rows[batch], step.losses, step.squares, step.sketches)
            utilities.move(step.move)
            lengths = np.sqrt(step.squares)
            for row, loss, length in zip(rows[batch], step.losses, lengths, strict=True):
                seen[int(row)] = {"loss": float(loss), "gradient": float(length)}
            steps.append(
                {
                    "round": number,
                    "step": trainer.steps,
                    "examples": len(batch),
                    "tokens": int(examples.lengths[batch].sum()),
                    "loss": step.loss,
                }
            )
            terminal.current().progress("steps", trainer.steps)
        trainer.model.eval()
    return seen, steps


def _visits(
    run: Path,
    number: int,
    arm: int,
    rows: np.ndarray,
    idu_before: np.ndarray,
    seen: dict[int, Facts],
    utilities: Utilities,
) -> list[Facts]:
    """A row for each example that the round trained on, the one it was least sure of first."""
    documents = read_documents(run, rows.tolist(), ["id"])
    return [
        {
            "round": number,
            "row": row,
            "id": document["id"],
            "cluster": arm,
            "visits": int(utilities.visits[row]),
            **seen[row],
            "idu_before": float(before),
            "idu_after": float(utilities.idu[row]),
        }
        for row, document, before in zip(rows.tolist(), documents, idu_before, strict=True)
    ]


def _arms(
    run: Path,
    number: int,
    labels: np.ndarray,
    utilities: Utilities,
    probabilities: np.ndarray,
    arm: int,
    reward: tuple[float, float],
) -> list[Facts]:
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
            "probability": float(probabilities[cluster]),
            "drawn": cluster == arm,
            "draws": draws[cluster] + (cluster == arm),
            "examples": int(visited[cluster]),
            "idu": float(means[cluster]),
            "reward": reward[0] if cluster == arm else None,
            "scaled": reward[1] if cluster == arm else None,
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
