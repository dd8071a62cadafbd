"""What a student learns from Quad's selection, beside random documents, similar ones, and the most influential of all.

    python -m tests.bench.quad [--documents 6000] [--seeds 3] [--budgets 0.05,0.1] [--out runs/bench-quad] [--table] [--frontier] [--workers]

Corpus: the first documents of the shared mixture in random order. Reference: GSM8K's training part; the loss is measured on its test
part, of which no strategy sees anything. Every strategy selects as many tokens, and a copy of the same model (one a seed) is trained on
them for one pass. "quad" chooses documents by regression, the default; "neighbours" visits clusters by the paper's bandit and buys
documents, "neighbours, blocks" whole visits as the paper does. "full influence" scores every document, which Quad avoids; its top documents are
taken whatever their clusters. The others look up their scores there, and their seconds are their share of its.
One core; a stopped run continues. --frontier trains nothing: how much of full influence is had for how
many scored documents, by strategy and setting; no test example has a part in it. --workers measures rounds of visits on two Dask workers beside one, and needs the machine alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tasks.prepare import stages as prepare
from tasks.prepare.documents import CORPUS, read_documents
from tasks.quad import curvature, finish, rounds, students
from tasks.quad.scoring import score_documents
from tasks.quad.settings import QuadSettings
from tasks.run.arrays import load_array, save_array
from tasks.run.parallel import workers
from tasks.run.seeds import generator
from tasks.run.tables import read_column, read_json, write_json, write_text
from tests.bench import results, targets
from tests.bench.markdown import table
from tests.bench.tables import difference, spread

Facts = dict[str, Any]

_SHARES, _QUANTILES = (0.1, 0.15, 0.2, 0.3, 0.4), (0.7, 0.8, 0.9, 0.95)  # of --frontier
REPEATS = 6  # rounds that are timed
STRATEGIES = ("random", "similarity", "neighbours, blocks", "neighbours", "quad", "full influence")
_CHANGES: dict[str, Facts] = {
    "neighbours, blocks": {"strategy": "neighbours", "buy": "blocks"},
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


def write_inputs(out: Path, documents: int) -> None:
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
        models=[(curvature.model_path(at, own), str(curvature.direction_path(at, 0)))],
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
    made, texts = rounds.score_documents, read_column(at / CORPUS, "text").tolist()
    scores = dict(zip(texts, load_array(at / "stages/all-scores.npy").tolist(), strict=True))
    rounds.score_documents = lambda texts, **_: iter([scores[text] for text in texts])
    try:
        yield
    finally:
        rounds.score_documents = made


def select(at: Path, made: Path, own: QuadSettings, strategy: str, corpus: Facts) -> Facts:
    """Write selected.jsonl. Returns how many documents were selected and how many had to be scored, and CPU seconds of the rest."""
    began = time.process_time()
    if strategy in (*_CHANGES, "linucb"):  # "neighbours" and "linucb" are settings' own names as well
        own = own.model_copy(update=_CHANGES.get(strategy, {}))
        so_far = rounds.nothing_yet(corpus)
        with known_scores(at):
            while plan := finish.next_round(own, corpus, so_far):
                so_far = rounds.visit(
                    made, own, plan, clusters={}, curvature={"mark": str(own.seed)}, before=so_far
                )
        chosen = finish.select(made, own, corpus=corpus, last=so_far)
        scored = so_far["scored"]
    else:
        tokens = np.asarray(read_column(at / CORPUS, "tokens"))
        order = ordered(at, strategy, own.seed)
        rows = order[np.cumsum(tokens[order]) <= finish.budget_tokens(own, corpus)].tolist()
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

    write_inputs(given.out, given.documents)
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


def frontier(given: argparse.Namespace) -> str:
    """Gain of selections that score different shares of the documents: their mean influence per token, 0 being that of all
    documents and 1 that of the most influential of all."""
    found: dict[tuple[float, str], list[tuple[float, float]]] = {}
    for budget, seed in product(given.budgets, range(given.seeds)):
        own = settings_of(given.out, given.documents, seed, budget)
        at, facts = prepared(given.out, own, given.documents)
        for name, scored, gain in gains(at, own, facts["corpus"]):
            found.setdefault((budget, name), []).append((scored, gain))
    rows = [
        [f"{budget:.0%}", name, f"{mean(one[0] for one in own):.1%}", f"{mean(one[1] for one in own):.2f}"]
        for (budget, name), own in sorted(found.items())
    ]
    return table(["budget", "scored are", "scored", "gain"], rows)


def gains(at: Path, own: QuadSettings, corpus: Facts) -> Iterator[tuple[str, float, float]]:
    """Of one seed and budget: what is scored, its share of the documents, and the gain."""
    scores, tokens = (
        np.asarray(load_array(at / "stages/all-scores.npy")),
        np.asarray(read_column(at / CORPUS, "tokens")),
    )
    rows_of = {id: row for row, id in enumerate(read_column(at / CORPUS, "id").tolist())}
    budget = finish.budget_tokens(own, corpus)

    def best_of(rows: np.ndarray) -> np.ndarray:
        order = rows[np.argsort(-scores[rows], kind="stable")]
        return order[np.cumsum(tokens[order]) <= budget]

    everything = np.arange(len(scores))
    low, high = (
        float(np.average(scores[rows], weights=tokens[rows])) for rows in (everything, best_of(everything))
    )

    def gain(rows: np.ndarray) -> float:
        return (float(np.average(scores[rows], weights=tokens[rows])) - low) / (high - low)

    def by_quad(**changes: Any) -> tuple[float, float]:
        scored, ids = chosen(at, own.model_copy(update=changes), corpus)
        return scored / len(scores), gain(np.array([rows_of[id] for id in ids]))

    for share in _SHARES:
        for name in ("random", "similarity"):
            first = ordered(at, name, own.seed)[: round(share * len(scores))]
            yield f"{name}, {share:.0%}", share, gain(best_of(first))
        yield (f"linucb, {share:.0%}", *by_quad(strategy="linucb", scored=share))
    for quantile in _QUANTILES:
        changes = {"strategy": "neighbours", "tau_quantile": quantile, "scored": 1.0}
        yield (f"neighbours, tau at {quantile:g}", *by_quad(**changes))


def chosen(at: Path, own: QuadSettings, corpus: Facts) -> tuple[int, list[str]]:
    """What Quad selects with some settings: how many documents it scores, and the ids of those it takes."""
    with TemporaryDirectory(dir=at) as folder:
        made = place_of(at, Path(folder).name)
        picked = select(at, made, own, own.strategy, corpus)
        lines = (made / finish.SELECTED).read_text(encoding="utf-8").splitlines()
    return picked["scored"], [json.loads(line)["id"] for line in lines]


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
                plan = finish.next_round(own, facts["corpus"], so_far)
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


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    def words(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
        return lambda text: [kind(word) for word in text.split(",") if word]

    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.quad", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--documents", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budgets", type=words(float), default=[0.05, 0.1])
    parser.add_argument("--strategies", type=words(str), default=list(STRATEGIES))
    parser.add_argument("--out", type=Path, default=Path("runs/bench-quad"))
    parser.add_argument("--frontier", action="store_true", help="only the gain of scores by their number")
    parser.add_argument(
        "--workers", action="store_true", help="only time rounds of visits on two workers beside one"
    )
    parser.add_argument("--table", action="store_true", help="only print the table of what is measured")
    return parser.parse_args(arguments)


def main() -> int:
    given = options()
    given.out = given.out.resolve()
    if not targets.MIXED.exists():
        print(f"left out: its data is not in {targets.SHARED}")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    if given.workers or given.frontier:
        write_inputs(given.out, given.documents)
        print(speedup(given) if given.workers else frontier(given))
        return 0
    if not given.table:
        measure(given)
    print(markdown(given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
