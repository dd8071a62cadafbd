"""Clusters visited by the paper's bandit (arXiv 2409.16986, section 4.2): a block of each is scored, what helps is bought."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.quad.plan import too_dear
from tasks.quad.settings import QuadSettings
from tasks.quad.visits import Scored, round_folder, rows_of, score_visits, told_of, within
from tasks.run.seeds import integer
from tasks.select.neighbours import NeighbourBandit, find_neighbours, interval
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json

Facts = dict[str, Any]


def play(
    run: Path, settings: QuadSettings, plan: Facts, mark: str, before: Facts, earlier: list[Facts]
) -> tuple[list[Facts], list[Facts], Facts]:
    """Score blocks of the clusters that the paper's bandit visits; further ones of a visit whose interval has the threshold inside.

    The threshold is from all scores so far, those of this round among them.

    Returns:
        Rows of the scores and of the visits, and the bandit's state.
    """
    bandit = _bandit(run, settings, plan, before)
    made = [Scored(one) for one in bandit.choose(plan["visits"], settings.block)]
    pending = [(one, one.visit.rows) for one in made]
    for further in range(settings.more_blocks, -1, -1):
        score_visits(run, settings, mark, pending, _count(made))
        seen = np.concatenate([[row["score"] for row in earlier], *(one.scores for one in made)])
        owners = [row["cluster"] for row in earlier]
        owners += [one.visit.cluster for one in made for _ in one.documents]
        tau = threshold(seen, np.array(owners), bandit.sizes, plan["tau_quantile"])
        pending = _further(made, tau, bandit, settings, plan["documents"]) if further else []
    spread = float(np.std(seen)) if len(seen) > 1 else 1.0
    scores, told = _decide(plan["number"], made, tau, bandit, settings)
    return scores, told, {**bandit.state(), "spread": spread}


def bought(scores: Sequence[Facts], budget: int) -> list[Facts]:
    """What was above the threshold of its round."""
    return [row for row in scores if row["bought"]]


def selected(
    scores: Sequence[Facts], visits: Sequence[Facts], settings: QuadSettings, budget: int
) -> tuple[list[Facts], int]:
    """What was bought, in the order it was, up to the budget; and where that is less, what was scored and not bought.

    Of the latter the visits with the best means come first, or the best documents, as the settings buy.

    Returns:
        Rows of the scores; and how many of them were not bought.
    """
    worth = {(visit["round"], visit["cluster"]): visit["mean"] for visit in visits}

    def value(row: Facts) -> float:
        found: float = worth[row["round"], row["cluster"]] if settings.buy == "blocks" else row["score"]
        return found

    others = sorted((row for row in scores if not row["bought"]), key=value, reverse=True)
    chosen = within([*bought(scores, budget), *others], budget)
    return chosen, sum(not row["bought"] for row in chosen)


def _bandit(run: Path, settings: QuadSettings, plan: Facts, before: Facts) -> NeighbourBandit:
    state = read_json(round_folder(run, before["number"]) / "state.json") if before["number"] else None
    centroids = load_array(run / "stages/centroids.npy")
    of_no_cluster = too_dear(run, plan["budget"])
    bandit = NeighbourBandit(
        np.where(of_no_cluster, len(centroids), load_array(run / "stages/labels.npy")),
        find_neighbours(centroids, settings.radius),
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
        whole = np.full(len(one.documents), reward > 0)
        own = rows_of(one, number, whole if settings.buy == "blocks" else one.scores > tau)
        scores += own
        visits.append(
            {
                **told_of(one, number, tau, own),
                "size": bandit.size(cluster),
                "remaining": int(bandit.left[cluster]),
                "visits": int(bandit.visits[cluster]),
                "low": low,
                "high": high,
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
