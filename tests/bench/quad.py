"""What a student learns from Quad's selection, beside random documents, similar ones, and the best of all by their scores.

    python -m tests.bench.quad [--target gsm8k] [--student 128x3x200000] [--documents 6000] [--seeds 0,1,2] [--budgets 0.05,0.1]
                               [--out runs/bench-quad] [--table] [--workers]

Corpus: the first documents of the shared mixture in random order. Reference: the target's reference part; the loss is measured on its
test part, of which no strategy sees anything. Every strategy selects as many tokens, and a copy of the same model (one a seed) is trained
on them for one pass. "quad" is the default: documents chosen by regression, scored by influence; "quad cosine" the same by the cosine; "neighbours"
visits clusters by the paper's bandit and buys documents; "paper" buys whole visits.
"full influence" and "full cosine" score every document, which Quad avoids; the top documents are taken whatever their clusters.
The others look up their scores there, and their seconds are their share of its. One core; a stopped run continues.
--workers measures rounds of visits on two Dask workers beside one, and needs the machine alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from tasks.quad import rounds, students
from tasks.quad.plan import next_round
from tasks.run.parallel import workers
from tests.bench import quad_corpora, results
from tests.bench.markdown import table
from tests.bench.measure import run_on_mixture, words
from tests.bench.prepared import place_of, student_of
from tests.bench.tables import difference, spread

Facts = dict[str, Any]

REPEATS = 6  # rounds that are timed
STRATEGIES = ("random", "similarity", *quad_corpora.CHANGES, "full influence", "full cosine")
_BESIDE = ("random", "similarity", "full influence")


def measure(given: argparse.Namespace) -> None:
    """Measure what is not in the results yet."""
    from tasks.train.threads import threads_for

    quad_corpora.write_inputs(given)
    done = results.load(given.out)
    for seed, budget, strategy in product(given.seeds, given.budgets, given.strategies):
        row = {**_cell(given), "budget": budget, "strategy": strategy, "seed": seed}
        if results.key(row) in done:
            continue
        own = quad_corpora.settings_of(given, seed, budget)
        with threads_for(given.model):
            at, facts = quad_corpora.prepared(given, seed)
            made = place_of(at, f"{strategy}-{budget:g}")
            chosen = quad_corpora.select(at, made, own, strategy, facts["corpus"])
            trained = students.train(made, own, selected={}, model={}, target={})
        share = chosen["scored"] / facts["corpus"]["documents"]
        chosen["seconds_selecting"] += facts["seconds_scoring"] * share
        judged = {"nll_before": trained["nll_before"], "nll": trained["nll_after"]}
        results.append(
            given.out, {**row, **chosen, **judged, "seconds_curvature": facts["seconds_curvature"]}
        )
        print(f"seed {seed}, {budget:.0%}, {strategy}: {trained['nll_after']:.3f}", flush=True)


def _cell(given: argparse.Namespace) -> Facts:
    """What the rows of a table have in common."""
    return {
        "corpus": quad_corpora.corpus_of(given),
        "target": given.target,
        "kind": f"student {student_of(given)}",
    }


def speedup(given: argparse.Namespace) -> str:
    """Seconds of a round of visits on one Dask worker and on two, of the first rounds of the first seed.

    The start of the workers and a round that loads the model are left out. Both visit the same clusters.
    """
    seed = given.seeds[0]
    own = quad_corpora.settings_of(given, seed, max(given.budgets))
    at, facts = quad_corpora.prepared(given, seed)
    timed: dict[int, list[float]] = {}
    scored: dict[int, int] = {}
    for count in (1, 2):
        with workers(count, ""), TemporaryDirectory(dir=at) as folder:
            made = place_of(at, Path(folder).name)
            so_far = rounds.nothing_yet(made, own, facts["corpus"])
            for number in range(1 + REPEATS):
                plan = next_round(own, facts["corpus"], so_far)
                assert plan is not None
                began = time.perf_counter()
                so_far = rounds.visit(
                    made, own, plan, clusters={}, curvature={"mark": str(own.seed)}, before=so_far
                )
                if number:
                    timed.setdefault(count, []).append(time.perf_counter() - began)
            scored[count] = so_far["scored"]
    assert scored[1] == scored[2]
    one, two = (sum(timed[count]) for count in (1, 2))
    cells = [f"{mean(timed[count]):.1f} ± {stdev(timed[count]):.1f}" for count in (1, 2)]
    head = ["rounds", "documents scored", "1 worker, s a round", "2 workers, s a round", "ratio"]
    return table(head, [[str(REPEATS), f"{scored[1]:,}", *cells, f"{one / two:.2f}"]])


def markdown(given: argparse.Namespace) -> str:
    """A table of what is measured."""
    values = results.by_seed(given.out, _cell(given), given.seeds)
    rows = []
    for budget, strategy in product(given.budgets, given.strategies):
        nll = values(budget, strategy, "nll")
        if not nll:
            continue
        counts = {name: values(budget, strategy, name) for name in ("scored", "selected", "selected_tokens")}
        beside = [
            "" if other == strategy else difference(nll, values(budget, other, "nll")) for other in _BESIDE
        ]
        seconds = mean(values(budget, strategy, "seconds_selecting").values())
        before = spread(values(budget, strategy, "nll_before"))
        rows.append(
            [f"{budget:.0%}", strategy, *_means(counts), f"{seconds:,.0f}", before, spread(nll), *beside]
        )
    head = ["budget", "strategy", "scored", "selected", "tokens", "CPU s", "NLL before", "NLL"]
    return table([*head, *(f"− {other}" for other in _BESIDE)], rows)


def _means(fields: Mapping[str, Mapping[int, float]]) -> list[str]:
    return [f"{mean(values.values()):,.0f}" for values in fields.values()]


def main(arguments: Sequence[str] | None = None) -> int:
    own = quad_corpora.parser("quad", (__doc__ or "").split("\n")[0])
    own.add_argument("--strategies", type=words, default=list(STRATEGIES))
    own.add_argument(
        "--workers", action="store_true", help="only time rounds of visits on two workers beside one"
    )
    given = own.parse_args(arguments)
    return run_on_mixture(
        given, *((quad_corpora.write_inputs, speedup) if given.workers else (measure, markdown))
    )


if __name__ == "__main__":
    sys.exit(main())
