"""What a student learns from Quad's selection, beside random documents, similar ones, and the most influential of all.

    python -m tests.bench.quad [--documents 6000] [--seeds 3] [--budgets 0.05,0.1] [--out runs/bench-quad] [--table] [--workers]

Corpus: the first documents of the shared mixture in random order. Reference: GSM8K's training part; the loss is measured on its test
part, of which no strategy sees anything. Every strategy selects as many tokens, and a copy of the same model (one a seed) is trained on
them for one pass. "quad" chooses documents by regression, the default; "neighbours" visits clusters by the paper's bandit and buys
documents, "neighbours blocks" whole visits as the paper does. "full influence" scores every document, which Quad avoids; its top documents are
taken whatever their clusters. The others look up their scores there, and their seconds are their share of its.
One core; a stopped run continues. --workers measures rounds of visits on two Dask workers beside one, and needs the machine alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tasks.prepare import stages as prepare
from tasks.prepare.documents import CORPUS, read_documents
from tasks.prepare.student import model_path
from tasks.quad import curvature, finish, rounds, students, visits
from tasks.quad.plan import budget_tokens, next_round
from tasks.quad.scoring import score_documents
from tasks.quad.settings import QuadSettings
from tasks.run.arrays import load_array, save_array
from tasks.run.parallel import workers
from tasks.run.seeds import generator
from tasks.run.tables import read_column, read_json, write_json, write_text
from tests.bench import results, targets
from tests.bench.markdown import table
from tests.bench.measure import parser_of, run_on_mixture, shares, words
from tests.bench.tables import difference, spread

Facts = dict[str, Any]

REPEATS = 6  # rounds that are timed
STRATEGIES = ("random", "similarity", "neighbours blocks", "neighbours", "quad", "full influence")
_CHANGES: dict[str, Facts] = {
    "neighbours blocks": {"strategy": "neighbours", "buy": "blocks"},
    "neighbours": {"strategy": "neighbours"},
    "quad": {},
}
_STAGES = ("vectors.npy", "stages", "students", "target")


def settings_of(out: Path, documents: int, seed: int, budget: float) -> QuadSettings:
    """The product's defaults."""
    return QuadSettings(
        corpus=[str(out / f"mixed-{documents}.jsonl")],
        reference=str(out / "reference.jsonl"),
        test=str(out / "test.jsonl"),
        seed=seed,
        budget=budget,
        runs_dir=str(out),
    )


def write_inputs(given: argparse.Namespace) -> None:
    """The corpus, and GSM8K's parts."""
    out, documents = given.out, given.documents
    pages = targets.mixed()[0]
    order = generator(0, "bench", "quad").permutation(len(pages))[:documents]
    reference, test = targets.gsm8k()
    for name, rows in (
        (f"mixed-{documents}", [pages[row] for row in sorted(order)]),
        ("reference", reference),
        ("test", test),
    ):
        write_text(out / f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def prepared(out: Path, own: QuadSettings, documents: int) -> tuple[Path, Facts]:
    """A folder with corpus, vectors, clusters, model, curvature and the scores of all documents; made once for a seed."""
    at = out / f"mixed-{documents}-seed-{own.seed}"
    if (at / "facts.json").exists():
        return at, read_json(at / "facts.json")
    target = prepare.target(at, own, source={})
    corpus = prepare.corpus(at, own, source={}, target=target)
    vectors = prepare.encode(at, own, corpus=corpus, target=target)
    clusters = prepare.clusters(at, own, vectors=vectors)
    model = curvature.model(at, own, corpus=corpus)
    began = time.process_time()
    curvature.curvature(at, own, corpus=corpus, target=target, model=model)
    fitting = time.process_time() - began
    began = time.process_time()
    texts = [row["text"] for row in read_documents(at, range(corpus["documents"]))]
    found = score_documents(
        texts,
        models=[(model_path(at, own.model), str(curvature.direction_path(at, 0)))],
        student="tiny",
        mark=str(own.seed),
        sequence_tokens=own.sequence_tokens,
        batch_tokens=own.batch_tokens,
    )
    save_array(at / "stages/all-scores.npy", np.fromiter(found, float, len(texts)))
    facts = {
        "corpus": {name: corpus[name] for name in ("documents", "tokens")},
        "clusters": clusters["clusters"],
        "seconds_curvature": fitting,
        "seconds_scoring": time.process_time() - began,
    }
    write_json(at / "facts.json", facts)
    return at, facts


def place_of(at: Path, name: str) -> Path:
    """A folder that looks like the prepared one, for what one strategy writes."""
    made = at / name
    made.mkdir(parents=True, exist_ok=True)
    for part in _STAGES:
        if not (made / part).exists():
            (made / part).symlink_to((at / part).resolve())
    return made


def ordered(at: Path, strategy: str, seed: int) -> np.ndarray:
    """All documents, the first to select first."""
    if strategy == "random":
        return generator(seed, "bench", "quad", "random").permutation(len(load_array(at / "vectors.npy")))
    if strategy == "similarity":
        reference = np.asarray(load_array(at / "stages/reference.npy")).mean(axis=0)
        return np.argsort(-(np.asarray(load_array(at / "vectors.npy")) @ reference), kind="stable")
    return np.argsort(-np.asarray(load_array(at / "stages/all-scores.npy")), kind="stable")


@contextmanager
def known_scores(at: Path) -> Iterator[None]:
    """Inside, rounds look up the scores of documents instead of making them again."""
    made, texts = visits.score_documents, read_column(at / CORPUS, "text").tolist()
    scores = dict(zip(texts, load_array(at / "stages/all-scores.npy").tolist(), strict=True))
    visits.score_documents = lambda texts, **_: iter([scores[text] for text in texts])
    try:
        yield
    finally:
        visits.score_documents = made


def select(at: Path, made: Path, own: QuadSettings, strategy: str, corpus: Facts) -> Facts:
    """Write selected.jsonl. Returns how many documents were selected and how many had to be scored, and CPU seconds of the rest."""
    began = time.process_time()
    if strategy in (*_CHANGES, "linucb"):  # "neighbours" and "linucb" are settings' own names as well
        own = own.model_copy(update=_CHANGES.get(strategy, {}))
        so_far = rounds.nothing_yet(corpus)
        with known_scores(at):
            while plan := next_round(own, corpus, so_far):
                so_far = rounds.visit(
                    made, own, plan, clusters={}, curvature={"mark": str(own.seed)}, before=so_far
                )
        chosen = finish.select(made, own, corpus=corpus, last=so_far)
        scored = so_far["scored"]
    else:
        tokens = np.asarray(read_column(at / CORPUS, "tokens"))
        order = ordered(at, strategy, own.seed)
        rows = order[np.cumsum(tokens[order]) <= budget_tokens(own, corpus)].tolist()
        lines = [
            json.dumps({"id": one["id"], "text": one["text"]}) + "\n" for one in read_documents(at, rows)
        ]
        write_text(made / finish.SELECTED, "".join(lines))
        chosen = {"documents": len(rows), "tokens": int(tokens[rows].sum())}
        scored = corpus["documents"] if strategy == "full influence" else 0
    return {
        "selected": chosen["documents"],
        "selected_tokens": chosen["tokens"],
        "scored": scored,
        "seconds_selecting": time.process_time() - began,
    }


def measure(given: argparse.Namespace) -> None:
    """Measure what is not in the results yet."""
    from tasks.train.threads import one_thread

    write_inputs(given)
    done = results.load(given.out)
    for seed, budget in product(range(given.seeds), given.budgets):
        own = settings_of(given.out, given.documents, seed, budget)
        for strategy in given.strategies:
            row: Facts = {
                "corpus": f"mixed-{given.documents}",
                "target": "gsm8k",
                "budget": budget,
                "strategy": strategy,
                "seed": seed,
                "kind": "student",
            }
            if results.key(row) in done:
                continue
            with one_thread():
                at, facts = prepared(given.out, own, given.documents)
                made = place_of(at, f"{strategy.replace(' ', '-')}-{budget:g}")
                chosen = select(at, made, own, strategy, facts["corpus"])
                trained = students.train(made, own, selected={}, model={}, target={})
            chosen["seconds_selecting"] += (
                facts["seconds_scoring"] * chosen["scored"] / facts["corpus"]["documents"]
            )
            results.append(
                given.out,
                {
                    **row,
                    **chosen,
                    "nll_before": trained["nll_before"],
                    "nll": trained["nll_after"],
                    "seconds_curvature": facts["seconds_curvature"],
                },
            )
            print(f"seed {seed}, {budget:.0%}, {strategy}: {trained['nll_after']:.3f}", flush=True)


def speedup(given: argparse.Namespace) -> str:
    """Seconds of a round of visits on one Dask worker and on two, of the first rounds of seed 0.

    The start of the workers and a round that loads the model are left out. Both visit the same clusters.
    """
    own = settings_of(given.out, given.documents, 0, max(given.budgets))
    at, facts = prepared(given.out, own, given.documents)
    timed: dict[int, list[float]] = {}
    scored: dict[int, int] = {}
    for count in (1, 2):
        with workers(count, ""), TemporaryDirectory(dir=at) as folder:
            made = place_of(at, Path(folder).name)
            so_far = rounds.nothing_yet(facts["corpus"])
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
    found = results.load(given.out)

    def values(budget: float, strategy: str, field: str) -> dict[int, float]:
        return {
            row["seed"]: row[field]
            for row in found.values()
            if (row["corpus"], row["budget"], row["strategy"])
            == (f"mixed-{given.documents}", budget, strategy)
        }

    rows = []
    for budget, strategy in product(given.budgets, given.strategies):
        nll = values(budget, strategy, "nll")
        if not nll:
            continue
        rows.append(
            [
                f"{budget:.0%}",
                strategy,
                *_means(
                    {
                        name: values(budget, strategy, name)
                        for name in ("scored", "selected", "selected_tokens")
                    }
                ),
                f"{mean(values(budget, strategy, 'seconds_selecting').values()):,.0f}",
                spread(values(budget, strategy, "nll_before")),
                spread(nll),
                *(
                    "" if other == strategy else difference(nll, values(budget, other, "nll"))
                    for other in ("random", "full influence")
                ),
            ]
        )
    head = [
        "budget",
        "strategy",
        "scored",
        "selected",
        "tokens",
        "CPU s",
        "NLL before",
        "NLL",
        "− random",
        "− full influence",
    ]
    return table(head, rows)


def _means(fields: Mapping[str, Mapping[int, float]]) -> list[str]:
    return [f"{mean(values.values()):,.0f}" for values in fields.values()]


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Of the benchmarks of these corpora."""
    made = parser_of(program, description, Path("runs/bench-quad"))
    made.add_argument("--documents", type=int, default=6000)
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--budgets", type=shares, default=[0.05, 0.1])
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    own = parser("quad", (__doc__ or "").split("\n")[0])
    own.add_argument("--strategies", type=words, default=list(STRATEGIES))
    own.add_argument(
        "--workers", action="store_true", help="only time rounds of visits on two workers beside one"
    )
    given = own.parse_args(arguments)
    if given.workers:
        return run_on_mixture(given, write_inputs, speedup)
    return run_on_mixture(given, measure, markdown)


if __name__ == "__main__":
    sys.exit(main())
