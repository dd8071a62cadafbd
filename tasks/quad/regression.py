"""Documents chosen one by one, by one regression over all of them: those that promise most, or that least is known of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from tasks.quad.plan import too_dear
from tasks.quad.settings import QuadSettings
from tasks.quad.visits import Scored, affordable, all_visits, rows_of, score_visits, told_of
from tasks.run.seeds import generator
from tasks.select.arms import Arms
from tasks.select.linucb import LinUCB, standardised
from tasks.select.neighbours import Visit
from tasks.select.ranked import similarity_to
from tasks.storage.arrays import load_array

Facts = dict[str, Any]


def play(
    run: Path, settings: QuadSettings, plan: Facts, mark: str, before: Facts, earlier: list[Facts]
) -> tuple[list[Facts], list[Facts], None]:
    """Score the documents with the largest upper confidence bounds. The threshold is what the budget's last document has.

    Returns:
        Rows of the scores and of the visits, one of each cluster that a document is of. A cluster's interval is the
        regression's, of all its documents: those scored were chosen, and their mean says little of the rest. No state: the tables
        of the rounds say all that was learnt.
    """
    vectors = load_array(run / "vectors.npy")
    labels = load_array(run / "stages/labels.npy")
    order = generator(settings.seed, "visits").permutation(len(labels))
    similarity = similarity_to(load_array(run / "stages/reference.npy"), vectors)
    strategy = LinUCB("linucb", Arms(labels, order), standardised([similarity]), vectors)
    _tell(strategy, earlier)
    strategy.mark_read(np.flatnonzero(too_dear(run, plan["budget"])))
    for visit in all_visits(run, before["number"]):
        strategy.update(visit["cluster"], visit["mean"])
    made = [
        Scored(Visit(pull.arm, pull.rows, pull.exploit, pull.bonus))
        for pull in strategy.choose(plan["documents"], 1)
    ]
    score_visits(run, settings, mark, [(one, one.visit.rows) for one in made], 0)
    known = earlier + [document for one in made for document in one.documents]
    _tell(strategy, known)
    for one in made:
        strategy.update(one.visit.cluster, float(one.scores.mean()))
    tau = affordable(known, plan["budget"])[-1]["score"]
    mean, deviation = strategy.expected()
    width = NormalDist().inv_cdf((1 + settings.confidence) / 2) * deviation
    sizes = np.bincount(labels, minlength=len(mean))
    scores: list[Facts] = []
    told: list[Facts] = []
    for one in made:
        cluster = one.visit.cluster
        own = rows_of(one, plan["number"], one.scores >= tau)
        scores += own
        told.append(
            {
                **told_of(one, plan["number"], tau, own),
                "size": int(sizes[cluster]),
                "remaining": strategy.remaining(cluster),
                "visits": strategy.pulls(cluster),
                "low": float(mean[cluster] - width[cluster]),
                "high": float(mean[cluster] + width[cluster]),
            }
        )
    return scores, told, None


def _tell(strategy: LinUCB, scored: Sequence[Facts]) -> None:
    """What the documents scored so far have shown."""
    rows = np.array([row["row"] for row in scored], np.int64)
    strategy.mark_read(rows)
    strategy.observe(rows, np.array([row["score"] for row in scored]))


def bought(scores: Sequence[Facts], budget: int) -> list[Facts]:
    """Of all that is scored so far the best: what is bought changes with what is seen."""
    return affordable(scores, budget)


def selected(
    scores: Sequence[Facts], visits: Sequence[Facts], settings: QuadSettings, budget: int
) -> tuple[list[Facts], int]:
    """The best of what was scored.

    Returns:
        Rows of the scores, the best first; and how many were not bought: none.
    """
    return affordable(scores, budget), 0
