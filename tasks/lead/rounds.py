"""A round: clusters are drawn, examples of theirs are trained on, and the bandit is told how much uncertainty they lost."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from tasks.select.idu import Utilities, choose, preference
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.lead.checkpoint import Checkpoint
    from tasks.select.exp3 import Exp3

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
    from tasks.lead.checkpoint import discard_before, load_checkpoint
    from tasks.lead.steps import PassCounter

    number, labels = plan["number"], load_array(run / LABELS)
    counter = PassCounter()
    with threads_for(settings.model):
        found = load_checkpoint(run, settings, number - 1)
        discard_before(run, number - 1)
        bandit, utilities = found.bandit, found.utilities
        with counter.counting(found.trainer.model, found.trainer.optimizer):
            is_open = (
                np.bincount(labels[utilities.visits < settings.visits], minlength=len(bandit.weights)) > 0
            )
            probabilities = bandit.probabilities(is_open)
            rows, drawn = draw_rows(settings, plan, found, labels, is_open)
            idu_before = utilities.idu[rows]
            seen, steps = train_on(run, settings, found, rows, number)
            utilities.settle()
            gained = (
                utilities.agreement(rows)
                if settings.reward == "agreement"
                else idu_before - utilities.idu[rows]
            )
            rewards = reward(bandit, labels[rows], gained, drawn, is_open)
        mark = found.save(run, number)
    visits = _visits(run, number, labels[rows], rows, idu_before, seen, utilities)
    arms = _arms(run, number, labels, utilities, probabilities, drawn, rewards)
    for name, table in (("visits", visits), ("steps", steps), ("arms", arms)):
        write_table(round_folder(run, number) / f"{name}.parquet", table, TABLES[name])
    at = round_folder(run, number).relative_to(run)
    return {
        "files": [f"{at}/{name}.parquet" for name in TABLES],
        "checkpoint": mark,
        "number": number,
        "clusters": np.flatnonzero(drawn).tolist(),
        "reward": float(gained.mean()),
        "idu": float(utilities.idu[rows].mean()),
        "loss": float(np.average([step["loss"] for step in steps], weights=[s["tokens"] for s in steps])),
        "selected": int((utilities.visits > 0).sum()),
        "visits": int(utilities.visits.sum()),
        "left": int((utilities.visits < settings.visits).sum()),
        "tokens": before["tokens"] + sum(step["tokens"] for step in steps),
        "steps": before["steps"] + counter.steps,
        "forward_passes": before["forward_passes"] + counter.forward_passes,
    }


def draw_rows(
    settings: LeadSettings, plan: Facts, found: Checkpoint, labels: np.ndarray, is_open: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pool that a round trains on, and how often each cluster was drawn; those drawn share the round's examples."""
    utilities, number, room = found.utilities, plan["number"], plan["new"]
    wanted = preference(utilities.idu, settings.choice, generator(settings.seed, "choice", number))
    may, is_new = utilities.visits < settings.visits, utilities.visits == 0
    random = generator(settings.seed, "draw", number)
    draws = min(settings.draws, plan["examples"])
    drawn = np.bincount(
        [found.bandit.draw(random, is_open) for _ in range(draws)], minlength=len(found.bandit.weights)
    )
    chosen: list[np.ndarray] = []
    ends = np.cumsum(drawn) * plan["examples"] // draws
    for arm in np.flatnonzero(drawn):
        count = int(ends[arm] - (ends[arm - 1] if arm else 0))
        rows = choose(wanted, may & (labels == arm), is_new, count, room)
        room -= int(is_new[rows].sum())
        chosen.append(rows)
    return np.concatenate(chosen), drawn


def reward(
    bandit: Exp3, owners: np.ndarray, gained: np.ndarray, drawn: np.ndarray, is_open: np.ndarray
) -> dict[int, tuple[float, float]]:
    """Tell the bandit what each cluster's examples brought on average, once for each time that it was drawn.

    Args:
        owners: clusters of the examples trained on, (r,).
        gained: what each brought, (r,); see the setting `reward`.

    Returns:
        Of each cluster trained on the mean, and the same in -1..1, as the bandit was told.
    """
    probabilities = bandit.probabilities(is_open)
    found = {}
    for arm in np.unique(owners).tolist():
        raw = float(gained[owners == arm].mean())
        found[arm] = raw, bandit.scaled(raw)
    for arm, (_, scaled) in found.items():
        for _ in range(drawn[arm]):
            bandit.update(arm, scaled, float(probabilities[arm]), int(is_open.sum()))
    return found


def train_on(
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
    owners: np.ndarray,
    rows: np.ndarray,
    idu_before: np.ndarray,
    seen: dict[int, Facts],
    utilities: Utilities,
) -> list[Facts]:
    """A row for each example that the round trained on, cluster by cluster, those preferred first."""
    documents = read_documents(run, rows.tolist(), ["id"])
    return [
        {
            "round": number,
            "row": row,
            "id": document["id"],
            "cluster": int(owner),
            "visits": int(utilities.visits[row]),
            **seen[row],
            "idu_before": float(before),
            "idu_after": float(utilities.idu[row]),
        }
        for row, owner, document, before in zip(rows.tolist(), owners, documents, idu_before, strict=True)
    ]


def _arms(
    run: Path,
    number: int,
    labels: np.ndarray,
    utilities: Utilities,
    probabilities: np.ndarray,
    drawn: np.ndarray,
    rewards: Mapping[int, tuple[float, float]],
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
            "drawn": int(drawn[cluster]),
            "draws": draws[cluster] + int(drawn[cluster]),
            "examples": int(visited[cluster]),
            "idu": float(means[cluster]),
            "reward": rewards[cluster][0] if cluster in rewards else None,
            "scaled": rewards[cluster][1] if cluster in rewards else None,
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
