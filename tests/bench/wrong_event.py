"""Training under wrong labels beside its peers: accuracy, how well wrong labels are told, CPU time. Writes tests/bench/wrong_event.md.

    python -m tests.bench.wrong_event [--data digits corpus] [--seeds 3] [--methods ...] [--validation [--variants]] [--table]

Finished cells are kept in --out and not run again; --table runs none and takes what is there. cleanlab is of the extra `bench`; without it its rows are left out. Nothing is
chosen by the test part: it is the same third of the rows for every seed, and what was tried was judged on a quarter of the others
(`--validation`, seeds from 100 on): `--validation --variants` runs the ways of ours that the default was chosen among there, which have as few epochs as a
pre-trained encoder has where they say so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from tasks.classify.training import adamw, step
from tests.bench.markdown import table
from tests.bench.noisy_labels import DATA, NOISES, available, made_wrong, with_validation
from tests.bench.noisy_own import OWN, VARIANTS
from tests.bench.noisy_peers import PEERS

PAGE = Path(__file__).with_suffix(".md")
METHODS = PEERS | OWN
SLOW = "divide-mix"

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=list(DATA))
    parser.add_argument("--noises", nargs="*", default=list(NOISES))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/wrong-event"))
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    methods = [
        name
        for name in (VARIANTS if given.variants else given.methods)
        if name != "cleanlab" or importlib.util.find_spec("cleanlab")
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    if given.table:
        kept = [json.loads(path.read_text()) for path in given.out.glob("[!v]*.json")]
        places = {name: place for place, name in enumerate([*DATA, *NOISES, *METHODS, *VARIANTS])}
        write_tables(sorted(kept, key=lambda row: [places[row[by]] for by in ("data", "noise", "method")]))
        return
    rows = []
    for data in filter(available, given.data):
        for seed in range(given.seeds):
            for noise in given.noises:
                for method in methods:
                    row = cell(given.out, data, noise, method, seed, given.validation)
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    if not given.validation:
        write_tables(rows)


def cell(out: Path, data: str, noise: str, method: str, seed: int, validation: bool) -> Row:
    """One method on one set of wrong labels; out of `out` where it was run before."""
    name = f"{'validation-' if validation else ''}{data}-{noise}-{method}-{seed}".replace(" ", "-")
    path = out / f"{name}.json"
    if not path.exists():
        split = DATA[data]()
        if validation:
            seed += 100
            split = with_validation(split, seed)
        task = made_wrong(split, noise, seed)
        _warm()
        began = time.process_time()
        found = (METHODS | VARIANTS)[method](task, seed)
        row = {
            "data": data,
            "noise": noise,
            "method": method,
            "seed": seed,
            "accuracy": float((found.predicted == split.test_labels).mean()),
            "auc": float(roc_auc_score(task.wrong, found.suspicion)),
            "cpu": time.process_time() - began,
            "wrong": float(task.wrong.mean()),
        }
        path.write_text(json.dumps(row))
    loaded: Row = json.loads(path.read_text())
    return loaded


@cache
def _warm() -> None:
    """What the first training of a process imports is nobody's time."""
    optimizer = adamw(network := torch.nn.Linear(2, 2), 1e-3)
    step(optimizer, network, network(torch.ones(1, 2)).sum())


def write_tables(rows: Sequence[Row]) -> None:
    """Put the tables between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "<!-- tables -->\n<!-- end -->\n"
    head, _, rest = text.partition("<!-- tables -->")
    tail = rest.partition("<!-- end -->")[2]
    PAGE.write_text(f"{head}<!-- tables -->\n\n{tables(rows)}\n\n<!-- end -->{tail}", encoding="utf-8")


def tables(rows: Sequence[Row]) -> str:
    """Accuracy, AUC and time of every method by data and noise: means over the seeds and their standard deviation."""
    cells: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row["data"], row["noise"], row["method"]].append(row)
    parts = []
    for data in dict.fromkeys(row["data"] for row in rows):
        noises = list(dict.fromkeys(row["noise"] for row in rows if row["data"] == data))
        methods = list(dict.fromkeys(row["method"] for row in rows if row["data"] == data))
        counts = sorted({len(cells[data, noise, method]) for noise in noises for method in methods})
        seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seeds"
        for figure, shown in (("accuracy", _percent), ("auc", _plain)):
            body = []
            for method in methods:
                own = [[row[figure] for row in cells[data, noise, method]] for noise in noises]
                best = [figure_best(cells, data, noise, figure) == method for noise in noises]
                texts = [
                    f"**{shown(one)}**" if top else shown(one) for one, top in zip(own, best, strict=True)
                ]
                mean = float(np.mean([np.mean(one) for one in own if one]))
                body.append(
                    [data, method, *texts, f"{100 * mean:.1f}" if figure == "accuracy" else f"{mean:.3f}"]
                )
            title = {"accuracy": "accuracy on the test part, %", "auc": "AUC of wrong labels"}[figure]
            parts.append(
                f"### {data}: {title} ({seeds})\n\n" + table(["data", "method", *noises, "mean"], body)
            )
        body = [[data, method, *_seconds(cells, data, noises, method)] for method in methods]
        parts.append(
            f"### {data}: CPU seconds\n\n" + table(["data", "method", "a run", f"of {SLOW}'s"], body)
        )
    return "\n\n".join(parts)


def figure_best(cells: dict[tuple[str, str, str], list[Row]], data: str, noise: str, figure: str) -> str:
    means = {
        method: np.mean([row[figure] for row in own])
        for (at, kind, method), own in cells.items()
        if (at, kind) == (data, noise)
    }
    return max(means, key=lambda method: means[method])


def _seconds(
    cells: dict[tuple[str, str, str], list[Row]], data: str, noises: Sequence[str], method: str
) -> list[str]:
    """Mean CPU seconds of a method, and as a share of the slow one's on the same labels."""
    own, slow = (
        {(noise, row["seed"]): row["cpu"] for noise in noises for row in cells.get((data, noise, name), ())}
        for name in (method, SLOW)
    )
    both = own.keys() & slow.keys()
    ratio = f"{sum(own[at] for at in both) / sum(slow[at] for at in both):.0%}" if both else ""
    return [f"{np.mean(list(own.values())):.1f}", ratio]


def _percent(values: Sequence[float]) -> str:
    return _spread([100 * value for value in values], 1)


def _plain(values: Sequence[float]) -> str:
    return _spread(values, 3)


def _spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over the seeds; of one seed its value alone."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}" if values else "–"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
