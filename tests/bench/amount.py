"""What it is worth to try how many pairs to keep: whole runs of the main job, beside runs that keep a fixed share.

    python -m tests.bench.amount [--corpora mixed-6000] [--targets gsm8k,svamp] [--keeps tried,0.25] [--budgets 0.05] [--train end]
                                 [--seeds 3] [--out runs/bench-amount] [--table]

Runs differ in --keep alone: they read the same documents and ask the same student about the same pairs. Their students train for `epochs`
passes over what is kept, and are judged by the target's test part, which has no say in how many that is. Seconds are those of whole runs.
A stopped benchmark continues.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from statistics import mean
from typing import Any

import yaml

from tests.bench import cells, results
from tests.bench.cells import ROOT, Cell
from tests.bench.markdown import table
from tests.bench.measure import parser_of, shares, words
from tests.bench.tables import difference, spread

TRIED = "tried"


def main(arguments: Sequence[str] | None = None) -> int:
    own = parser_of("amount", (__doc__ or "").split("\n")[0], ROOT / "runs" / "bench-amount")
    own.add_argument("--corpora", type=words, default=[], help="by default all")
    own.add_argument("--targets", type=words, default=[], help="by default all")
    own.add_argument("--keeps", type=words, default=[TRIED, "0.25"], help=f"{TRIED}, or shares")
    own.add_argument("--budgets", type=shares, default=[0.05])
    own.add_argument("--train", choices=["end", "rounds"], default="end")
    own.add_argument("--seeds", type=int, default=3)
    given = own.parse_args(arguments)
    given.out = given.out.resolve()
    chosen, missing = cells.cells(cells.BANDIT, given.corpora, given.targets)
    for cell in missing:
        print(f"left out: {cell.name}, its data is not on this machine")
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.table:
        cells.write_inputs(given.out, chosen)
        done = results.load(given.out)
        for row in _rows(given, chosen):
            if results.key(row) not in done:
                row |= measure(given, row)
                results.append(given.out, row)
                print(
                    f"{row['corpus']}, {row['target']}, seed {row['seed']}, {row['strategy']}: {row['nll']:.3f}",
                    flush=True,
                )
    print(markdown(given, chosen))
    return 0


def _rows(given: argparse.Namespace, chosen: Sequence[Cell]) -> list[dict[str, Any]]:
    return [
        {
            "corpus": cell.corpus,
            "target": cell.target,
            "budget": budget,
            "seed": seed,
            "strategy": keep,
            "kind": f"run {given.train}",
        }
        for cell, budget, seed, keep in product(chosen, given.budgets, range(given.seeds), given.keeps)
    ]


def measure(given: argparse.Namespace, row: dict[str, Any]) -> dict[str, Any]:
    """A whole run, as the command makes it."""
    cell = Cell(row["corpus"], row["target"])
    keep = None if row["strategy"] == TRIED else float(row["strategy"])
    own = cells.settings(
        cell, given.out, budget=row["budget"], seed=row["seed"], keep=keep, train=given.train, compare=[]
    )
    name = f"{row['budget']:g}-{row['seed']}-{given.train}-{row['strategy']}"
    config = given.out / f"{cell.name}-{name}.yaml"
    config.write_text(yaml.safe_dump(own.model_dump(mode="json", exclude_unset=True)))
    command = [sys.executable, "-m", "flows", "equal", "--config", str(config), "--run", name]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    summary = json.loads((cells.folder(cell, given.out) / "equal" / name / "summary.json").read_text())
    return {
        "before": summary["nll_before"],
        "nll": summary["nll_after"],
        "pairs": summary["pairs"],
        "tokens": summary["train_tokens"],
        "seconds": summary["seconds"]["all"],
    }


def markdown(given: argparse.Namespace, chosen: Sequence[Cell]) -> str:
    rows = []
    for cell, budget in product(chosen, given.budgets):
        facts = {"corpus": cell.corpus, "target": cell.target, "kind": f"run {given.train}"}
        values = results.by_seed(given.out, facts, range(given.seeds))
        for keep in given.keeps:
            nll = values(budget, keep, "nll")
            if not nll:
                continue
            counts = (
                f"{mean(values(budget, keep, field).values()):,.0f}"
                for field in ("pairs", "tokens", "seconds")
            )
            rows.append(
                [
                    cell.corpus,
                    cell.target,
                    f"{budget:.0%}",
                    keep,
                    *counts,
                    spread(values(budget, keep, "before")),
                    spread(nll),
                    *(
                        "" if keep == other else difference(nll, values(budget, other, "nll"))
                        for other in given.keeps[1:]
                    ),
                ]
            )
    head = ["corpus", "target", "budget", "kept", "pairs", "tokens", "s", "NLL before", "NLL"]
    return table([*head, *(f"− {other}" for other in given.keeps[1:])], rows)


if __name__ == "__main__":
    sys.exit(main())
