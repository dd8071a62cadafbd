"""The default strategy against what is free, EQUAL as published, and an oracle; also where looks deceive.

    python -m tests.bench.bandit [--corpora deceptive] [--targets svamp] [--seeds 8] [--out runs/bench-bandit] [--table]

Measured as by `python -m tests.bench.equal`, on its cells and four more: a corpus where looks deceive (tests/bench/deceptive.py)
with both targets, a target of two tasks, and one that was held out until the strategy was finished.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from markupsafe import Markup

from tasks.page.charts import Series, line_chart
from tasks.select.ranked import RANKED
from tasks.storage.tables import write_text
from tests.bench import cells, fits, measure, results, selections, targets
from tests.bench.cells import Cell, facts, folder
from tests.bench.markdown import table
from tests.bench.tables import difference, spread
from tests.bench.tables import selections as selected
from tests.bench.tables import students as taught

DEFAULT = "linucb"
NEAREST = "nearest-cluster"
FREE = ("random", "mean-similarity", "dsir", NEAREST, "tsds")
STRATEGIES = (
    *FREE,
    "ucb-paper",
    DEFAULT,
    "mean-similarity+keep",
    selections.ORACLE,
)
CURVE = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1]
TUNED = "gsm8k"  # the target that choices were made on; the others only judge
_HEAD = (
    "budget",
    "strategy",
    "documents read",
    "tokens read",
    "cost, $",
    "pairs",
    "OT to test",
    "regret of OT",
    "NLL",
    "regret of NLL",
    "NLL − best free",
    "NLL with reference",
    "− best free",
)

Found = Mapping[results.Key, dict[str, Any]]


def markdown(options: argparse.Namespace, chosen: Sequence[Cell]) -> str:
    """What the default gains on the best free strategy, then a table for each cell."""
    found = results.load(options.out)
    parts = [_LEGEND.format(tokens=options.train_tokens), summary(found, chosen, options)]
    parts.append(earlier(found, chosen, options))
    parts.append(curves(found, chosen, options))
    parts += [cell_table(found, cell, options) for cell in chosen]
    return "\n\n".join(filter(None, parts)) + "\n"


_LEGEND = """\
Mean ± standard deviation over seeds; differences paired by seed, mean ± standard error, **bold** beyond two standard errors,
negative is better. Best free: of random, mean similarity, DSIR, nearest cluster and TSDS the one with the lowest mean in that
row's cell and budget and measure, chosen after seeing it, which favours it. "+keep": reads as the strategy does, and keeps
pairs as the default does. Regret: to an oracle that has read everything, reads the documents whose pairs gain most by
transport, and keeps of them as the default does. Students train on {tokens:,} tokens whatever they are given."""


def best_free(found: Found, cell: Cell, budget: float, values: Any) -> str | None:
    """The free strategy with the lowest mean; None where none is measured."""
    known = {name: mean(v.values()) for name in FREE if (v := values(found, cell, budget, name))}
    return min(known, key=lambda name: known[name]) if known else None


def transport(found: Found, cell: Cell, budget: float, name: str) -> dict[int, float]:
    return selected(found, cell, budget, name, "transport_heldout")


def loss(found: Found, cell: Cell, budget: float, name: str) -> dict[int, float]:
    return taught(found, cell, budget, name, fits.ALONE)


def loss_with_reference(found: Found, cell: Cell, budget: float, name: str) -> dict[int, float]:
    return taught(found, cell, budget, name, fits.MIXED)


def summary(found: Found, chosen: Sequence[Cell], options: argparse.Namespace) -> str:
    """The default minus the best free strategy and EQUAL as published, in every cell."""
    rows = []
    for cell, budget in product(chosen, options.budgets):
        row = [f"{budget:.0%}", f"{cell.name}{' (tuned on)' if cell.target == TUNED else ''}"]
        for values in (transport, loss, loss_with_reference):
            free = best_free(found, cell, budget, values)
            ours = values(found, cell, budget, DEFAULT)
            row += [free or "", difference(ours, values(found, cell, budget, free)) if free else ""]
        row.append(difference(loss(found, cell, budget, DEFAULT), loss(found, cell, budget, "ucb-paper")))
        if any(row[3::2]):
            rows.append(row)
    if not rows:
        return ""
    head = ["budget", "cell", "best free by OT", "OT − it", "best free by NLL", "NLL − it"]
    head += ["best free with reference", "NLL with reference − it", "NLL − EQUAL as published"]
    return f"**{DEFAULT} minus the best free strategy**\n\n" + table(head, rows)


def earlier(found: Found, chosen: Sequence[Cell], options: argparse.Namespace) -> str:
    """What the default has after each smaller budget, minus what the nearest clusters have after the largest."""
    if not options.budgets:
        return ""
    *fewer, most = sorted(options.budgets)
    measures = (transport, loss, loss_with_reference)
    rows = []
    for budget, cell in product(fewer, chosen):
        row = [
            difference(values(found, cell, budget, DEFAULT), values(found, cell, most, NEAREST))
            for values in measures
        ]
        if any(row):
            rows.append([f"{budget:.0%}", cell.name, *row])
    if not rows:
        return ""
    head = ["budget", "cell", "OT", "NLL", "NLL with reference"]
    return f"**{DEFAULT} minus {NEAREST} at {most:.0%}**\n\n" + table(head, rows)


def course(found: Found, cell: Cell, name: str, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Shares of the documents read and the transport cost of what is kept after them, by share, of seed 0.

    Of a strategy that goes in rounds those of its largest budget; of the others, who read the same however large it is,
    one selection for each share.
    """
    rows = {
        budget: row
        for budget in {*options.curve, *options.budgets}
        if (row := found.get((cell.corpus, cell.target, budget, name, 0, "selection")))
    }
    if not rows:
        return []
    documents = facts(cell, options.out)["corpus"]["documents"]
    points = rows[max(rows)].get("course", [])
    if len(points) > 2:  # more than a warm-up and one round
        return [(read / documents, cost) for read, cost in points if cost is not None]
    return [(budget, row["transport_heldout"]) for budget, row in sorted(rows.items())]


def curves(found: Found, chosen: Sequence[Cell], options: argparse.Namespace) -> str:
    """Transport cost to the test part by the share of the documents that is read; also as a page of charts, regret.html."""
    rows, charts = [], []
    for cell in chosen:
        lines = {
            name: np.array(points)
            for name in options.strategies
            if (points := course(found, cell, name, options))
        }
        rows += [
            [cell.name, name, *(_at(share, points) for share in options.curve)]
            for name, points in lines.items()
        ]
        best = lines.pop(selections.ORACLE, None)
        if best is None:
            continue
        series = []
        for name, points in lines.items():
            x = points[(points[:, 0] >= best[0, 0]) & (points[:, 0] <= best[-1, 0])]
            above = x[:, 1] - np.interp(x[:, 0], *best.T)
            series.append(Series(name, x[:, 0], above, "main" if name == DEFAULT else "other"))
        chart = line_chart(
            series,
            title=f"Regret on {cell.name}",
            x_label="share of the documents read",
            y_label="transport cost above the oracle's",
            x_text=lambda share: f"{share:.0%}",
            y_text=lambda cost: f"{cost:.2f}",
        )
        charts.append(Markup("<h2>{}</h2>{}").format(cell.name, chart))
    if not rows:
        return ""
    if charts:
        style = (targets.ROOT / "tasks/page/report.css.j2").read_text(encoding="utf-8")
        page = f"<!doctype html><meta charset=utf-8><title>Regret</title><style>{style}</style><main>{''.join(charts)}</main>"
        write_text(options.out / "regret.html", page)
    head = ["cell", "strategy", *(f"{share:.0%}" for share in options.curve)]
    title = "**Transport cost to the test part by share of the documents read** (seed 0; between two rounds on a line)"
    return f"{title}\n\n" + table(head, rows)


def _at(share: float, points: np.ndarray) -> str:
    inside = (
        points[0, 0] <= share <= points[-1, 0] + 1e-3
    )  # the last round may end a document before the share
    return format(np.interp(share, *points.T), ".3f") if inside else ""


def cell_table(found: Found, cell: Cell, options: argparse.Namespace) -> str:
    if not (folder(cell, options.out) / "facts.json").exists():
        return ""
    rows = [
        row_of(found, cell, budget, name)
        for budget, name in product(options.budgets, options.strategies)
        if transport(found, cell, budget, name)
    ]
    for name in ("base", "reference"):
        if alone := taught(found, cell, 0.0, name, fits.ALONE):
            rows.insert(0, ["", name, *[""] * 6, spread(alone), *[""] * 4])
    corpus, target = facts(cell, options.out)["corpus"], facts(cell, options.out)["target"]
    heading = (
        f"**{cell.corpus}, target {cell.target}** ({corpus['documents']:,} documents, {corpus['tokens']:,} "
        f"tokens; {target['reference']} reference and {target['test']} test examples)"
    )
    return heading + "\n\n" + table(_HEAD, rows) if rows else ""


def row_of(found: Found, cell: Cell, budget: float, name: str) -> list[str]:
    def total(field: str, form: str) -> str:
        values = selected(found, cell, budget, name, field)
        return format(mean(values.values()), form) if values else ""

    def against(values: Any, other: str | None) -> str:
        if other in (None, name):
            return ""
        return difference(values(found, cell, budget, name), values(found, cell, budget, other))

    return [
        f"{budget:.0%}",
        name,
        total("documents", ",.0f"),
        total("tokens", ",.0f"),
        total("cost", ".3f"),
        total("pairs", ",.0f"),
        spread(transport(found, cell, budget, name)),
        against(transport, selections.ORACLE),
        spread(loss(found, cell, budget, name)),
        against(loss, selections.ORACLE),
        against(loss, best_free(found, cell, budget, loss)),
        spread(loss_with_reference(found, cell, budget, name)),
        against(loss_with_reference, best_free(found, cell, budget, loss_with_reference)),
    ]


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = measure.options_of(
        "bandit",
        (__doc__ or "").split("\n")[0],
        budgets=[0.05, 0.1],
        strategies=list(STRATEGIES),
        seeds=8,
        student_seeds=8,
        kinds=[fits.ALONE, fits.MIXED],
        out=Path("runs/bench-bandit"),
    )
    parser.add_argument(
        "--curve",
        type=measure.shares,
        default=CURVE,
        help="shares of the documents at which transport is shown; those without rounds select once for each; '' for none",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing and print the tables. Returns the exit code."""
    given = options(arguments)
    ranked = [name for name in given.strategies if selections.plain(name) in RANKED]
    oracle = [name for name in given.strategies if name == selections.ORACLE]
    # The oracle reads everything, so it does that once, for all budgets and seeds.
    curve = [
        argparse.Namespace(**{**vars(given), "student_seeds": 0, **changes})
        for changes in (
            {"budgets": given.curve, "strategies": ranked, "seeds": 1},
            {"budgets": sorted({*given.curve, *given.budgets}), "strategies": oracle},
        )
    ]
    return measure.run_comparison(given, cells.BANDIT, markdown, first=curve)


if __name__ == "__main__":
    sys.exit(main())
