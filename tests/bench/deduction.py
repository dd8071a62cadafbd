"""What pruning, deduction and crowd-pivot save, and what that costs in F1, with workers who err as those of D_Product did.

`python -m tests.bench.deduction` measures and writes the tables of tests/bench/deduction.md below its account.

Workers: 176 confusion matrices that LFC infers from the answers of D_Product (a product-matching task), drawn for a pair in proportion to how much
they answered there. Within a seed every plan gets the same answers to the same pair. Machine scores are learnt on other pairs than those that are asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from tasks.crowd.cluster.crowd import Simulated, simulated
from tasks.crowd.cost.estimate import expected
from tasks.crowd.cost.pages import pages
from tasks.crowd.cost.pairs import Candidates
from tasks.run.seeds import generator
from tests.bench.markdown import table
from tests.bench.pair_plans import (
    MOST,
    PLANS,
    Plan,
    Run,
    Task,
    Workers,
    _plan,
    measured,
    tasks_at_hand,
    workers_of_products,
)

PAGE = Path(__file__).with_suffix(".md")
MARK = "<!-- The tables below are written by python -m tests.bench.deduction. -->"
RECORDS_ON_A_PAGE = 10
_LARGE = 1000  # pairs; in smaller sets nearly everything is asked by every plan


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
