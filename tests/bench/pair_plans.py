"""Plans of asking about pairs, the sets and workers that they are measured on, and what one run of a plan comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.crowd.answers import answers_of
from tasks.crowd.cluster.crowd import Asked, Simulated
from tasks.crowd.cluster.plan import ALL, DEDUCE, PIVOT, Decided, Method, make_plan
from tasks.crowd.cost.pairs import Candidates, follow
from tasks.crowd.truth.methods import METHODS
from tasks.match.compare import comparisons
from tasks.match.features import INDEL, pair_features
from tasks.match.matcher import fit_matcher
from tasks.routing import Band, choose_band
from tasks.run.seeds import generator
from tests.bench.er import BENCHMARKS, Data, load
from tests.bench.many_records import ATTRIBUTES, ManyRecords, many_records
from tests.bench.targets import SHARED

MOST = 5  # answers drawn for a pair
ERROR, CONFIDENCE = 0.01, 0.9


@dataclass(frozen=True)
class Task:
    """Pairs to decide.

    Args:
        truth: 1 for a match, int64 (m,).
        entity: of each record, (n,), where the truth about all pairs of records is known; F1 is then over all of them, else
            over the candidates.
        band: scores between which to ask if pairs are pruned.
    """

    name: str
    pairs: Candidates
    truth: np.ndarray
    entity: np.ndarray | None
    band: Band


@dataclass(frozen=True, slots=True)
class Plan:
    """A row of the tables. `by_itself`: clusters are not made, each pair is as its own answers say."""

    name: str
    method: str
    refined: bool = False
    pruned: bool = False
    by_itself: bool = False


PLANS = (
    Plan("everything, each pair by itself", ALL, by_itself=True),
    Plan("everything, made consistent", ALL),
    Plan("everything, made consistent + refinement", ALL, refined=True),
    Plan("pruning", ALL, pruned=True, by_itself=True),
    Plan("deduction", DEDUCE),
    Plan("deduction + refinement", DEDUCE, refined=True),
    Plan("pruning + deduction", DEDUCE, pruned=True),
    Plan("crowd-pivot", PIVOT),
    Plan("crowd-pivot + refinement", PIVOT, refined=True),
    Plan("pruning + crowd-pivot", PIVOT, pruned=True),
    Plan("pruning + crowd-pivot + refinement", PIVOT, refined=True, pruned=True),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one plan with one crowd did."""

    questions: int
    rounds: int
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Workers:
    """Who answers: confusion matrices (w, 2, 2), and how much each answered."""

    confusion: np.ndarray
    activity: np.ndarray


def tasks_at_hand() -> list[Task]:
    """All sets that are on this machine."""
    found = [of_tables(data) for data in map(load, BENCHMARKS) if data is not None]
    asked, learnt = many_records(0, part=0), many_records(0, part=1)
    return [*found, of_many(asked, learnt)] if asked and learnt else found


def of_tables(data: Data) -> Task:
    """The test pairs of two tables; the matcher learns on train, one half of valid makes its scores probabilities, the other chooses the band."""
    parts = [data.train, data.valid, data.questions]
    train, valid, test = (comparisons(data.left, data.right, pairs, data.shared) for pairs in parts)
    matcher = fit_matcher(train, data.train.labels)
    first = generator(0, "bench", data.benchmark.name).permutation(len(data.valid)) < len(data.valid) // 2
    labels = data.valid.labels
    calibrated = _calibrated(matcher.probabilities(valid[first]), labels[first])
    band = choose_band(
        calibrated(matcher.probabilities(valid[~first])), labels[~first], error=ERROR, confidence=CONFIDENCE
    )
    ends = np.concatenate([data.questions.left, len(data.left) + data.questions.right])
    records, codes = np.unique(ends, return_inverse=True)
    left, right = np.split(codes, 2)
    pairs = Candidates(left, right, calibrated(matcher.probabilities(test)), len(records))
    return Task(data.benchmark.name, pairs, data.questions.labels.astype(np.int64), None, band)


def of_many(asked: ManyRecords, learnt: ManyRecords) -> Task:
    """All candidates of a table; Indel similarity of whole records, made a probability on a table of other entities."""
    scores = [
        pair_features(one.table, one.table, one.pairs, ATTRIBUTES, measure=INDEL, merged=True)[:, 0]
        for one in (asked, learnt)
    ]
    first = generator(0, "bench", "many").random(len(learnt.pairs)) < 0.5
    labels = learnt.pairs.labels
    calibrated = _calibrated(scores[1][first], labels[first])
    band = choose_band(calibrated(scores[1][~first]), labels[~first], error=ERROR, confidence=CONFIDENCE)
    pairs = Candidates(asked.pairs.left, asked.pairs.right, calibrated(scores[0]), len(asked.table))
    return Task("many records", pairs, asked.pairs.labels.astype(np.int64), asked.entity, band)


def workers_of_products() -> Workers:
    """The workers of D_Product, as LFC infers them without the truth."""
    given = pd.read_csv(SHARED / "crowd/D_Product/answers.csv")
    answers = answers_of(given["task"], given["worker"], given["label"])
    confusion = METHODS["lfc"]().infer(answers).confusion
    assert confusion is not None
    return Workers(confusion, answers.per_worker.astype(float))


def measured(task: Task, plan: Plan, crowd: Simulated, redundancy: int, merge: str, seed: int) -> Run:
    """Carry a plan out."""
    fewer = Simulated(crowd.worker[:, :redundancy], crowd.label[:, :redundancy], crowd.names)
    asked = Asked(len(task.pairs), fewer, METHODS[merge]())
    outcome = follow(_plan(task, plan, seed), asked)
    precision, recall, f1 = _scores(task, plan, outcome)
    return Run(sum(questions for questions, _ in asked.rounds), len(asked.rounds), f1, precision, recall)


def _plan(task: Task, plan: Plan, seed: int):  # type: ignore[no-untyped-def]
    low, high = (task.band.low, task.band.high) if plan.pruned else (-1.0, 2.0)
    return make_plan(
        task.pairs,
        Method(plan.method, plan.refined, low, high),
        lambda purpose: generator(seed, "bench", purpose),
    )


def _scores(task: Task, plan: Plan, outcome: Decided) -> tuple[float, float, float]:
    pairs, cluster = task.pairs, outcome.cluster
    same = cluster[pairs.left] == cluster[pairs.right]
    if plan.by_itself:
        taken = pairs.score >= (task.band.high if plan.pruned else 2.0)
        same = np.where(np.isnan(outcome.match), taken, outcome.match > 0.5)
    right, decided, true = int((same & (task.truth == 1)).sum()), int(same.sum()), int(task.truth.sum())
    if task.entity is not None:
        true = _within(task.entity)
        if not plan.by_itself:
            both = np.stack([cluster, task.entity], axis=1)
            right = _within(np.unique(both, axis=0, return_inverse=True)[1].reshape(-1))
            decided = _within(cluster)
    return right / max(1, decided), right / true, 2 * right / max(1, decided + true)


def _within(group: np.ndarray) -> int:
    size = np.bincount(group)
    return int((size * (size - 1) // 2).sum())


def _calibrated(scores: np.ndarray, labels: np.ndarray):  # type: ignore[no-untyped-def]
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels)
    # Isotonic steps tie many pairs; the score itself orders within a step.
    return lambda given: 0.999 * fitted.predict(given) + 0.001 * np.asarray(given)
