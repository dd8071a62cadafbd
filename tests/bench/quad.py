"""What a student learns from Quad's selection, beside random documents, similar ones, and the most influential of all.

    python -m tests.bench.quad [--documents 6000] [--seeds 3] [--budgets 0.05,0.1] [--out runs/bench-quad] [--table]

Corpus: the first documents of the shared mixture in random order. Reference: GSM8K's training part; the loss is measured on its test
part, of which no strategy sees anything. Every strategy selects as many tokens, and a copy of the same model (one a seed) is trained on
them for one pass. "quad blocks" buys whole visits, as the paper does. "full influence" scores every document, which Quad's visits avoid; its top documents are taken whatever their clusters.
One core; a stopped run continues.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from tasks.prepare import stages as prepare
from tasks.prepare.documents import CORPUS, read_documents
from tasks.quad import curvature, finish, rounds, students
from tasks.quad.scoring import score_documents
from tasks.quad.settings import QuadSettings
from tasks.run.arrays import load_array, save_array
from tasks.run.seeds import generator
from tasks.run.tables import read_column, read_json, write_json, write_text
from tests.bench import results, targets
from tests.bench.markdown import table
from tests.bench.tables import difference, spread

Facts = dict[str, Any]

STRATEGIES = ("random", "similarity", "quad blocks", "quad", "full influence")
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
        model=curvature.model_path(at, own.model),
        student="tiny",
        direction=str(at / curvature.DIRECTION),
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


def select(at: Path, made: Path, own: QuadSettings, strategy: str, corpus: Facts) -> Facts:
    """Write selected.jsonl. Returns how many documents were selected and how many had to be scored, and CPU seconds."""
    began = time.process_time()
    if strategy.startswith("quad"):
        own = own.model_copy(update={"buy": "blocks"} if strategy.endswith("blocks") else {})
        so_far = rounds.nothing_yet(corpus)
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
            if strategy == "full influence":
                chosen["seconds_selecting"] += facts["seconds_scoring"]
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
    parser.add_argument("--table", action="store_true", help="only print the table of what is measured")
    return parser.parse_args(arguments)


def main() -> int:
    given = options()
    given.out = given.out.resolve()
    if not targets.MIXED.exists():
        print(f"left out: its data is not in {targets.SHARED}")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.table:
        measure(given)
    print(markdown(given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
