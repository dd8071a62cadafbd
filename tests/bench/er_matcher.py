"""F1 of the embedded matcher on the test pairs, by which labels it had, and how much it can decide alone.

Nothing here is chosen by test labels: they score, and that is all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.match.compare import comparisons
from tasks.match.cover import cover_of, greedy_cover, shrunk_cover
from tasks.match.evaluate import score
from tasks.match.features import pair_features
from tasks.match.matcher import fit_matcher
from tasks.routing import choose_band
from tasks.run.seeds import generator
from tests.bench.er import Data

FULL_SEEDS = 5


@dataclass(frozen=True, slots=True)
class Learnt:
    """F1 on test, over seeds.

    Args:
        matches: of the labels, in the mean.
        one_class: seeds in which all labels were of one class.
    """

    data: str
    labels: str
    count: int
    matches: float
    one_class: int
    f1: list[float]


@dataclass(frozen=True, slots=True)
class Routed:
    """What a matcher fitted on all training labels leaves to ask, by the band chosen on the validation pairs."""

    data: str
    sample: int
    asked: float  # share of the test pairs
    wrong: float  # share of the test pairs that the matcher decides wrongly
    f1_decided: float
    f1_answered: float  # if every pair asked about were answered rightly


def learnt(data: Data, seeds: int = 20) -> list[Learnt]:
    """Labels of the covering, by the authors' attributes and by all, greedy and smaller, each beside random ones."""
    pool, questions = data.pool, data.questions
    looks = [comparisons(data.left, data.right, pairs, data.shared) for pairs in (questions, pool)]
    found = []
    benchmark = data.benchmark
    ways = [
        ("authors' attributes", list(benchmark.attributes), benchmark.merged),
        ("all attributes", data.shared, False),
    ]
    for name, attributes, merged in ways:
        near, near_pool = (
            pair_features(data.left, data.right, pairs, attributes, merged=merged)
            for pairs in (questions, pool)
        )
        cover = cover_of(near, near_pool)
        greedy = greedy_cover(cover.matrix)
        smaller = shrunk_cover(cover.matrix, greedy)
        for how, rows in (("greedy", greedy), ("smaller", smaller)):
            found.append(_scored(data, looks, f"covering, {name}, {how}", [rows] * seeds))
            draws = [
                generator(seed, "bench", "labels", len(rows)).permutation(len(pool))[: len(rows)]
                for seed in range(seeds)
            ]
            found.append(_scored(data, looks, "random, as many", draws))
    draws = [generator(seed, "bench", "labels", 40).permutation(len(pool))[:40] for seed in range(seeds)]
    found.append(_scored(data, looks, "random, 40", draws))
    train = np.arange(len(data.train))
    found.append(_scored(data, looks, "all training pairs", [train] * min(seeds, FULL_SEEDS)))
    return found


def _scored(data: Data, looks: list[np.ndarray], name: str, draws: list[np.ndarray]) -> Learnt:
    labels = data.pool.labels
    truth = data.questions.labels
    assert labels is not None
    assert truth is not None
    f1 = []
    for seed, rows in enumerate(draws):
        matcher = fit_matcher(looks[1][rows], labels[rows], seed=seed)
        f1.append(score(matcher.probabilities(looks[0]) >= 0.5, truth).f1)
    return Learnt(
        data=data.benchmark.name,
        labels=name,
        count=len(draws[0]),
        matches=float(np.mean([labels[rows].sum() for rows in draws])),
        one_class=sum(len(np.unique(labels[rows])) < 2 for rows in draws),
        f1=f1,
    )


def routed(data: Data) -> Routed:
    """The band with the default promise, chosen on the validation pairs, of which none fitted the matcher."""
    looks = [
        comparisons(data.left, data.right, pairs, data.shared)
        for pairs in (data.train, data.valid, data.questions)
    ]
    train, valid, truth = data.train.labels, data.valid.labels, data.questions.labels
    assert train is not None
    assert valid is not None
    assert truth is not None
    matcher = fit_matcher(looks[0], train)
    band = choose_band(matcher.probabilities(looks[1]), valid)
    decided = band.decisions(matcher.probabilities(looks[2]))
    answered = np.where(decided == -1, truth, decided)
    mine = decided >= 0
    return Routed(
        data=data.benchmark.name,
        sample=len(valid),
        asked=float(np.mean(~mine)),
        wrong=float(np.mean(mine & (decided != truth))),
        f1_decided=score(decided[mine], truth[mine]).f1,
        f1_answered=score(answered, truth).f1,
    )
