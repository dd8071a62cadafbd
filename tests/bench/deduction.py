"""What pruning, deduction and crowd-pivot save, and what that costs in F1, with workers who err as those of D_Product did.

`python -m tests.bench.deduction` measures and writes the tables of tests/bench/deduction.md below its account.

Workers: 176 confusion matrices that LFC infers from the answers of D_Product (a product-matching task), drawn for a pair in proportion to how much
they answered there. Within a seed every plan gets the same answers to the same pair. Machine scores are learnt on other pairs than those that are asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pandas as pd

from tasks.crowd.answers import answers_of
from tasks.crowd.cluster.crowd import Asked, Simulated, simulated
from tasks.crowd.cluster.plan import ALL, DEDUCE, PIVOT, Decided, Method, make_plan
from tasks.crowd.cost.estimate import expected
from tasks.crowd.cost.pages import pages
from tasks.crowd.cost.pairs import Candidates, follow
from tasks.crowd.truth.methods import METHODS
from tasks.match.compare import comparisons
from tasks.match.features import INDEL, pair_features
from tasks.match.matcher import fit_matcher
from tasks.routing import Band, choose_band
from tasks.run.seeds import generator
from tests.bench.er import BENCHMARKS, Data, load
from tests.bench.many_records import ATTRIBUTES, ManyRecords, many_records
from tests.bench.markdown import table
from tests.bench.targets import SHARED

PAGE = Path(__file__).with_suffix(".md")
MARK = "<!-- The tables below are written by python -m tests.bench.deduction. -->"
MOST = 5  # answers drawn for a pair
ERROR, CONFIDENCE = 0.01, 0.9
RECORDS_ON_A_PAGE = 10
_LARGE = 1000  # pairs; in smaller sets nearly everything is asked by every plan


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


def sets_table(tasks: Sequence[Task]) -> str:
    """What the sets are like."""
    rows = []
    for task in tasks:
        sizes = np.bincount(_true_clusters(task))
        asked = (task.band.decisions(task.pairs.score) == -1).sum()
        decided = task.band.decisions(task.pairs.score)
        wrong = ((decided >= 0) & (decided != task.truth)).mean()
        rows.append(
            [
                task.name,
                f"{task.pairs.records:,}",
                f"{len(task.pairs):,}",
                f"{task.truth.sum():,}",
                f"{sizes.max()}",
                f"{_triangles(task.pairs):,}",
                f"{asked / len(task.pairs):.0%}",
                f"{wrong:.1%}",
            ]
        )
    head = [
        "data",
        "records",
        "pairs",
        "matches",
        "largest entity",
        "triangles of candidates",
        "between the bounds",
        "wrong outside of them",
    ]
    return table(head, rows)


def _true_clusters(task: Task) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = task.truth == 1
    ends = task.pairs.left[rows], task.pairs.right[rows]
    shape = (task.pairs.records, task.pairs.records)
    return np.asarray(
        connected_components(coo_array((np.ones(int(rows.sum())), ends), shape=shape), directed=False)[1]
    )


def _triangles(pairs: Candidates) -> int:
    from scipy.sparse import coo_array

    shape = (pairs.records, pairs.records)
    graph = coo_array((np.ones(len(pairs)), (pairs.left, pairs.right)), shape=shape).tocsr()
    graph = graph + graph.T
    return int((graph @ graph).multiply(graph).sum() / 6)


def plans_table(
    task: Task, workers: Workers, redundancies: Sequence[int], seeds: int, merge: str, plans: Sequence[Plan]
) -> str:
    """Questions, rounds and quality of every plan, beside asking everything with as many answers."""
    found: dict[tuple[int, str], list[Run]] = {}
    names = [str(one) for one in range(len(workers.confusion))]
    for seed in range(seeds):
        crowd = simulated(
            task.truth,
            workers.confusion,
            names,
            MOST,
            generator(seed, "bench", "answers", task.name),
            workers.activity,
        )
        for redundancy in redundancies:
            for plan in plans:
                run = measured(task, plan, crowd, redundancy, merge, seed)
                found.setdefault((redundancy, plan.name), []).append(run)
    rows = []
    for redundancy in redundancies:
        base = found[redundancy, plans[0].name]
        for plan in plans:
            runs = found[redundancy, plan.name]
            gains = [100 * (one.f1 - other.f1) for one, other in zip(runs, base, strict=True)]
            rows.append(
                [
                    plan.name,
                    f"{redundancy}",
                    _spread([run.questions for run in runs], ",.0f"),
                    f"{1 - mean(run.questions for run in runs) / len(task.pairs):.0%}",
                    _spread([redundancy * run.questions for run in runs], ",.0f"),
                    _spread([run.rounds for run in runs], ".1f"),
                    _spread([100 * run.precision for run in runs], ".1f"),
                    _spread([100 * run.recall for run in runs], ".1f"),
                    _spread([100 * run.f1 for run in runs], ".1f"),
                    "" if plan is plans[0] else _spread(gains, "+.1f"),
                ]
            )
    head = ["plan", "answers a pair", "questions", "saved", "answers", "rounds", "precision", "recall", "F1"]
    return table([*head, "− everything"], rows)


def right_table(tasks: Sequence[Task], seeds: int) -> str:
    """Questions where nobody errs, beside what was expected from the scores."""
    rows = []
    for task in tasks:
        for plan in PLANS[3:]:
            runs = []
            for seed in range(seeds):
                crowd = Simulated(
                    np.zeros((len(task.pairs), 1), dtype=np.int64), task.truth[:, None], ["right"]
                )
                runs.append(measured(task, plan, crowd, 1, "mv", seed))
            awaited = expected(lambda task=task, plan=plan: _plan(task, plan, 0), task.pairs)
            rows.append(
                [
                    task.name,
                    plan.name,
                    _spread([run.questions for run in runs], ",.0f"),
                    f"{1 - mean(run.questions for run in runs) / len(task.pairs):.0%}",
                    f"{awaited.questions:,.0f}",
                    _spread([run.rounds for run in runs], ".1f"),
                    _spread([100 * run.f1 for run in runs], ".1f"),
                ]
            )
    return table(["data", "plan", "questions", "saved", "expected questions", "rounds", "F1"], rows)


def pages_table(tasks: Sequence[Task]) -> str:
    """Pages of ten records that hold all pairs, beside pages of five pairs, which are ten records too."""
    rows = []
    for task in tasks:
        pairs = task.pairs
        asked = task.band.decisions(pairs.score) == -1
        for what, rows_of in (
            ("all candidates", np.arange(len(pairs))),
            ("not pruned", np.flatnonzero(asked)),
        ):
            made = pages(pairs.left[rows_of], pairs.right[rows_of], RECORDS_ON_A_PAGE)
            by_pairs = -(-len(rows_of) // (RECORDS_ON_A_PAGE // 2))
            saved = f"{1 - len(made) / by_pairs:.0%}" if by_pairs else ""
            rows.append([task.name, what, f"{len(rows_of):,}", f"{by_pairs:,}", f"{len(made):,}", saved])
    return table(["data", "pairs", "how many", "pages of 5 pairs", "pages of 10 records", "saved"], rows)


def _spread(values: Sequence[float], form: str) -> str:
    found = format(mean(values), form)
    return f"{found} ± {format(stdev(values), form.replace('+', ''))}" if len(values) > 1 else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    tasks, workers = tasks_at_hand(), workers_of_products()
    weight = workers.activity / workers.activity.sum()
    right = [float(weight @ workers.confusion[:, one, one]) for one in (1, 0)]
    parts = [
        "## The sets",
        sets_table(tasks),
        f"Workers call {right[0]:.1%} of the matches a match and {right[1]:.1%} of the others none, in the mean over answers.",
        "## Workers who never err",
        right_table(tasks, options.seeds),
    ]
    large = [task for task in tasks if len(task.pairs) >= _LARGE]
    better = Workers(np.broadcast_to([[0.9, 0.1], [0.1, 0.9]], workers.confusion.shape), workers.activity)
    for task, crowd, who, merge, how in (
        *((task, workers, "workers of D_Product", "lfc", "LFC") for task in large),
        (large[-1], workers, "workers of D_Product", "mv", "majority"),
        (large[-1], better, "workers who are right nine times of ten", "mv", "majority"),
    ):
        parts.append(f"## {task.name}, {who}, merged by {how}")
        parts.append(plans_table(task, crowd, (3, 5), options.seeds, merge, PLANS))
        print(parts[-2], parts[-1], sep="\n\n", flush=True)
    parts += ["## Pages", pages_table(tasks)]
    before = options.out.read_text(encoding="utf-8").split(MARK)[0] if options.out.exists() else ""
    options.out.write_text(before + MARK + "\n\n" + "\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
