"""The one look at every example before training, and the clusters that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.lead.pool import pairs_of
from tasks.lead.settings import LeadSettings
from tasks.prepare.documents import CORPUS
from tasks.prepare.student import model_path
from tasks.run.seeds import integer
from tasks.select.cluster import top_terms
from tasks.select.levels import difficulty_levels, task_clusters
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import write_json
from tasks.train.threads import threads_for

Facts = dict[str, Any]

LOSSES, RATIOS = "stages/losses.npy", "stages/ratios.npy"
LABELS, CLUSTERS = "stages/labels.npy", "stages/clusters.json"


def difficulty(run: Path, settings: LeadSettings, pool: Facts, model: Facts) -> Facts:
    """The loss of each answer, and its ratio to that of the answer alone: two forward passes an example, the last before training.

    The answer alone is the pair with an empty question in the same template, so that both are means over the same tokens.
    """
    from tasks.train.checkpoint import load_student
    from tasks.train.training import Training

    pairs = pairs_of(run, range(pool["examples"]))
    with threads_for(settings.model):
        own, tokenizer = load_student(
            model_path(run, settings.model), lora=settings.lora, seed=settings.seed, flag="--model"
        )
        batch = Training(batch_tokens=settings.batch_tokens).rates(own)[1]
        losses, ratios = losses_and_ratios(own, tokenizer, pairs, batch, settings.sequence_tokens)
    save_array(run / LOSSES, losses)
    save_array(run / RATIOS, ratios)
    return {"files": [LOSSES, RATIOS], "loss": float(losses.mean()), "forward_passes": 2 * len(pairs)}


def losses_and_ratios(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], batch_tokens: int, sequence_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss of each answer's tokens after its question, nats, and its ratio to that after none (IFD), both (n,)."""
    from tasks.train.evaluate import pair_losses

    def mean_losses(of: Sequence[tuple[str, str]]) -> np.ndarray:
        each = pair_losses(model, tokenizer, of, batch_tokens=batch_tokens, sequence_tokens=sequence_tokens)
        return np.asarray(each.loss / each.answered)

    losses = mean_losses(pairs)
    alone = mean_losses([("", answer) for _, answer in pairs])
    return losses, losses / np.maximum(alone, 1e-6)


def clusters(run: Path, settings: LeadSettings, vectors: Facts, difficulty: Facts) -> Facts:
    """Levels of difficulty, and clusters of like examples inside each: the arms."""
    ratios = load_array(run / RATIOS)
    levels = difficulty_levels(ratios, settings.levels, integer(settings.seed, "levels"))
    labels, owners = task_clusters(
        load_array(run / "vectors.npy"), levels, settings.tasks, integer(settings.seed, "tasks")
    )
    terms = top_terms(run / CORPUS, labels, len(owners))
    save_array(run / LABELS, labels)
    described = [
        {
            "cluster": cluster,
            "level": int(level),
            "size": int((labels == cluster).sum()),
            "ratio": float(ratios[labels == cluster].mean()),
            "terms": " ".join(terms[cluster]),
        }
        for cluster, level in enumerate(owners)
    ]
    write_json(run / CLUSTERS, described)
    return {"files": [LABELS, CLUSTERS], "levels": int(levels.max()) + 1, "clusters": len(owners)}
