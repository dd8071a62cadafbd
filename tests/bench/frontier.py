"""How much of full influence is had for how many scored documents, by strategy and setting.

    python -m tests.bench.frontier [--target gsm8k] [--documents 6000] [--seeds 0,1,2] [--budgets 0.05,0.1] [--out runs/bench-quad]

On the corpora that tests.bench.quad prepares, where every document is scored once and looked up here. Nothing is trained, and no test
example has a part in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tasks.prepare.documents import CORPUS
from tasks.quad import finish
from tasks.quad.plan import budget_tokens
from tasks.quad.settings import QuadSettings
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_column
from tests.bench import quad_corpora
from tests.bench.markdown import table
from tests.bench.measure import run_on_mixture
from tests.bench.prepared import place_of

Facts = dict[str, Any]

_SHARES, _QUANTILES = (0.1, 0.15, 0.2, 0.3, 0.4), (0.7, 0.8, 0.9, 0.95)


def markdown(given: argparse.Namespace) -> str:
    """Gain of selections that score different shares of the documents: their mean score, 0 being that of all
    documents and 1 that of the most influential of all."""
    found: dict[tuple[float, str], list[tuple[float, float]]] = {}
    for budget, seed in product(given.budgets, given.seeds):
        own = quad_corpora.settings_of(given, seed, budget)
        at, facts = quad_corpora.prepared(given, seed)
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
        np.asarray(load_array(quad_corpora.scores_path(at, own.score))),
        np.asarray(read_column(at / CORPUS, "tokens")),
    )
    rows_of = {id: row for row, id in enumerate(read_column(at / CORPUS, "id").tolist())}
    budget = budget_tokens(own, corpus)

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
            first = quad_corpora.ordered(at, name, own.seed)[: round(share * len(scores))]
            yield f"{name}, {share:.0%}", share, gain(best_of(first))
        yield (f"linucb, {share:.0%}", *by_quad(strategy="linucb", scored=share))
    for quantile in _QUANTILES:
        changes = {"strategy": "neighbours", "tau_quantile": quantile, "scored": 1.0}
        yield (f"neighbours, tau at {quantile:g}", *by_quad(**changes))


def chosen(at: Path, own: QuadSettings, corpus: Facts) -> tuple[int, list[str]]:
    """What Quad selects with some settings: how many documents it scores, and the ids of those it takes."""
    with TemporaryDirectory(dir=at) as folder:
        made = place_of(at, Path(folder).name)
        picked = quad_corpora.select(at, made, own, "", corpus)
        lines = (made / finish.SELECTED).read_text(encoding="utf-8").splitlines()
    return picked["scored"], [json.loads(line)["id"] for line in lines]


def main(arguments: Sequence[str] | None = None) -> int:
    given = quad_corpora.parser("frontier", (__doc__ or "").split("\n")[0]).parse_args(arguments)
    return run_on_mixture(given, quad_corpora.write_inputs, markdown)


if __name__ == "__main__":
    sys.exit(main())
