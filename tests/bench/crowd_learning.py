"""Learning from answers that differ, with features, beside its baselines. Writes tests/bench/crowd_learning.md.

    python -m tests.bench.crowd_learning [--parts methods semi transfer asking] [--data digits corpus halves] [--seeds 5] [--table]

Answers are simulated by recorded crowds (tests/bench/crowd_simulated.py). Finished cells are kept in --out and not run again; --table
runs none and takes what is there. Everything that was chosen was chosen on digits, with crowds of seeds from 100 on; the seeds below
that and the other two data sets judge. cleanlab is of the extra `bench`; without it the rows of crowdlab are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from tasks.crowd.learn.methods import METHODS
from tasks.crowd.learn.unlabelled import WAYS
from tasks.storage.tables import write_json
from tests.bench.crowd_cells import STRATEGIES, TRUTH, asking, methods, semi, transfer
from tests.bench.crowd_simulated import DATA, available
from tests.bench.crowd_tables import write_tables

PAGE = Path(__file__).with_suffix(".md")
EACH = (1, 2, 3, 5)
JUDGED = ("digits", "corpus", "halves")  # what was tried was tried on other documents
PARTS = ("methods", "semi", "transfer", "asking")
Cell = tuple[Callable[..., dict[str, Any]], tuple[Any, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--data", nargs="*", default=list(JUDGED), choices=list(DATA))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1, help="0 was looked at when the method was made")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/crowd-learning"))
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.table:
        for part in given.parts:
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                for data in filter(available, given.data):
                    for function, arguments in cells(part, data):
                        measure(given.out, part, function, (data, *arguments), seed)
    rows = [json.loads(path.read_text()) for path in sorted(given.out.glob("*.json"))]
    write_tables(PAGE, [row for row in rows if 0 < row["seed"] < 100])


def cells(part: str, data: str) -> Iterator[Cell]:
    """Settings and methods of a part."""
    if part == "methods":
        names = [name for name in METHODS if name != "crowdlab" or importlib.util.find_spec("cleanlab")]
        # cleanlab refuses answers that are one to an item.
        pairs = ((each, name) for each in EACH for name in names if each > 1 or name != "crowdlab")
        yield from ((methods, pair) for pair in pairs)
        yield methods, (EACH[0], TRUTH)
    elif part == "semi":
        yield from ((semi, (way, name)) for way in WAYS for name in ("ds", "joint"))
    elif part == "transfer":
        yield from ((transfer, (each, name)) for each in (1, 2) for name in ("ds", "joint"))
    elif data != "halves":
        yield from ((asking, (strategy,)) for strategy in STRATEGIES)


def measure(
    out: Path, part: str, function: Callable[..., Any], arguments: tuple[Any, ...], seed: int
) -> None:
    """One cell, unless it is there."""
    name = "-".join(map(str, (part, *arguments, seed))).replace(" ", "-")
    path = out / f"{name}.json"
    if path.exists():
        return
    row = {"part": part, "setting": list(arguments), "seed": seed, **function(*arguments, seed)}
    write_json(path, row)
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
