"""How many demonstrations the covering labels, by what is compared, beside the authors' runs and the exact optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.match.batching import cluster_questions, make_batches
from tasks.match.cover import Cover, cover_of, greedy_cover, shrunk_cover
from tasks.match.demonstrations import COVERING, select_demonstrations
from tasks.match.features import pair_features
from tests.bench.er import Benchmark, Data, filled

_LARGEST_EXACT = 200_000  # places of the matrix given to the integer programme


@dataclass(frozen=True, slots=True)
class Labels:
    """A covering by one way to compare pairs."""

    data: str
    compared: str
    theirs: bool  # as the authors did
    greedy: int  # labels of stage A as published, without those for questions beyond the threshold
    shown: int  # of them, those that stage B shows in any batch
    labels: int  # of the smaller cover that the search finds
    beyond: int
    exact: int | None
    published: int


def coverings(data: Data) -> list[Labels]:
    """Every way to compare, the authors' last."""
    benchmark = data.benchmark
    names = ", ".join(benchmark.attributes)
    found = [_measured(data, "all shared attributes", False, *_features(data, data.shared, False, False))]
    for merged in (False, True) if len(benchmark.attributes) > 1 else (False,):
        how = f"{names}{', as one text' if merged else ''}"
        found.append(_measured(data, how, False, *_features(data, list(benchmark.attributes), merged, False)))
    how = f"{names}{', as one text' if benchmark.merged else ''}, missing values filled"
    found.append(
        _measured(data, how, True, *_features(data, list(benchmark.attributes), benchmark.merged, True))
    )
    return found


def _features(data: Data, attributes: list[str], merged: bool, fill: bool) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for pairs in (data.questions, data.pool):
        left, right, rows = filled(data, pairs, attributes) if fill else (data.left, data.right, pairs)
        found.append(pair_features(left, right, rows, attributes, merged=merged))
    return found[0], found[1]


def _measured(data: Data, compared: str, theirs: bool, questions: np.ndarray, pool: np.ndarray) -> Labels:
    benchmark: Benchmark = data.benchmark
    cover = cover_of(questions, pool)
    chosen = greedy_cover(cover.matrix)
    clusters = cluster_questions(questions, pool, min_samples=benchmark.min_samples)
    shown = select_demonstrations(
        COVERING, questions, pool, make_batches("diversity", clusters), cover=cover, rounds=0
    ).batches
    return Labels(
        data=benchmark.name,
        compared=compared,
        theirs=theirs,
        greedy=len(chosen),
        labels=len(shrunk_cover(cover.matrix, chosen)),
        shown=len(np.intersect1d(np.concatenate(shown), chosen)),
        beyond=len(cover.beyond),
        exact=exact_cover(cover, questions, pool),
        published=benchmark.labels,
    )


def exact_cover(cover: Cover, questions: np.ndarray, pool: np.ndarray) -> int | None:
    """Columns of the smallest cover; None where the programme is too large.

    With one feature the smallest is found by sweeping: of what covers the lowest open question, take the highest.
    """
    coverable = np.diff(cover.matrix.indptr) > 0
    if questions.shape[1] == 1:
        values, places = np.sort(questions[coverable, 0]), np.sort(pool[:, 0])
        count, at = 0, 0
        while at < len(values):
            distance = np.abs(places - values[at])
            highest = places[(distance < cover.threshold) | (distance == 0)].max()
            count += 1
            while at < len(values) and (abs(highest - values[at]) < cover.threshold or highest == values[at]):
                at += 1
        return count
    if cover.matrix.shape[0] * cover.matrix.shape[1] > _LARGEST_EXACT:
        return None
    return integer_programme(cover.matrix.toarray()[coverable])


def integer_programme(matrix: np.ndarray) -> int:
    """Columns of the smallest cover of all rows, each of which some column covers."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    solved = milp(
        np.ones(matrix.shape[1]),
        constraints=LinearConstraint(matrix.astype(float), lb=1),
        bounds=Bounds(0, 1),
        integrality=np.ones(matrix.shape[1]),
    )
    return round(float(solved.fun))
