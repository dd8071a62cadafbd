"""The tables of what is measured so far, in Markdown, and what is missing in them."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import mean, median, stdev
from typing import Any

from tests.bench import fits, results
from tests.bench.cells import Cell, facts, folder
from tests.bench.markdown import table

Facts = dict[str, Any]
Found = Mapping[results.Key, Facts]

DEFAULT = "ucb-prior"
_HEAD = (
    "budget",
    "strategy",
    "tokens read",
    "cost, $",
    "pairs",
    "OT to test",
    "choosing, s",
    "extracting, s",
    "student, s",
    "NLL",
    "− nearest",
    "− random",
    "− everything",
    "NLL with reference",
    "− reference",
)


def markdown(options: argparse.Namespace, chosen: Sequence[Cell]) -> str:
    """A summary, then a table for each cell, then what has not been measured."""
    found = results.load(options.out)
    missing: list[str] = []
    parts = [
        _LEGEND.format(tokens=options.train_tokens),
        summary(found, chosen, options),
    ]
    parts += [cell_table(found, cell, options, missing) for cell in chosen]
    parts.append(versions(found, chosen, options))
    if missing:
        parts.append("Not measured yet: " + "; ".join(dict.fromkeys(missing)) + ".")
    return "\n\n".join(filter(None, parts)) + "\n"


_LEGEND = """\
Mean ± standard deviation over seeds. Reference, test part and the LSA are one fixed draw for each cell, so every ± is over
the seeds of selection and training alone. Strategies of a budget read equally many documents, not tokens. Cost at $1 per
million document tokens read. OT: transport cost of the kept pairs to the target's test part, smaller is better. Seconds,
median on one core: choosing (with aligning, clustering and rewarding), extracting (with encoding the pairs), and student
(training and evaluation). Students are trained once, on the whole selection, not in rounds: {tokens:,} tokens of
fine-tuning for every row, from the same weights for every row of a seed. NLL of a test answer's token, in nats.
Differences are paired by seed, ± standard error, negative is better, **bold** where they exceed two standard errors; with
three seeds that is a weak test (p = .18, two-sided, by t with 2 degrees of freedom). With reference: {tokens:,} tokens as
well, half from the selection and half from the reference; its difference is to the reference alone. One epoch: all pairs
of everything once, and nothing else."""


def summary(found: Found, chosen: Sequence[Cell], options: argparse.Namespace) -> str:
    """The default strategy against what is free to know, a row per budget and cell.

    The last column is what the others read, in the order of the columns before it.
    """
    names = ("random", "everything", "nearest-cluster", "mean-similarity", "dsir")
    rows = []
    for budget, cell in product(sorted(options.budgets), chosen):
        others = [(name, 1.0 if name == "everything" else budget) for name in names]
        ours = students(found, cell, budget, DEFAULT, fits.ALONE)
        row = [difference(ours, students(found, cell, at, name, fits.ALONE)) for name, at in others]
        if any(row):
            reads = " / ".join(_reading(found, cell, budget, name, at) or "?" for name, at in others)
            rows.append([f"{budget:.0%}", cell.corpus, cell.target, *row, reads])
    if not rows:
        return ""
    head = ["budget", "corpus", "target", *(f"− {name}" for name in names), "tokens these read / it reads"]
    return f"NLL of {DEFAULT}, paired differences to:\n\n" + table(head, rows)


def _reading(found: Found, cell: Cell, budget: float, name: str, at: float) -> str:
    """Tokens a strategy reads for each one that the default reads, over the seeds that both have."""
    ours = selections(found, cell, budget, DEFAULT, "tokens")
    theirs = selections(found, cell, at, name, "tokens")
    both = ours.keys() & theirs.keys()
    return f"{sum(theirs[seed] for seed in both) / sum(ours[seed] for seed in both):.2f}" if both else ""


def versions(found: Found, chosen: Sequence[Cell], options: argparse.Namespace) -> str:
    """Which code made what the tables show, where it is not all of one version."""
    names = {(cell.corpus, cell.target) for cell in chosen}
    made = Counter(row.get("code", "unknown") for key, row in found.items() if key[:2] in names)
    made.update(
        facts(cell, options.out).get("code", "unknown")
        for cell in chosen
        if (folder(cell, options.out) / "facts.json").exists()
    )
    if len(made) < 2:
        return ""
    parts = ", ".join(f"{code} ({count})" for code, count in made.most_common())
    return f"Measurements and prepared cells are of more than one version of the code: {parts}."


def cell_table(found: Found, cell: Cell, options: argparse.Namespace, missing: list[str]) -> str:
    if not (folder(cell, options.out) / "facts.json").exists():
        missing.append(f"all of {cell.name}")
        return ""
    corpus, target = facts(cell, options.out)["corpus"], facts(cell, options.out)["target"]
    rows = []
    for strategy in ("base", "reference"):
        _, *row = row_of(found, cell, 0.0, strategy)
        if any(row[1:]):
            rows.append(["", *row])
    places = [(1.0, "everything")] if "everything" in options.strategies else []
    places += [(b, s) for b in options.budgets for s in options.strategies if s != "everything"]
    for budget, strategy in places:
        row = row_of(found, cell, budget, strategy)
        if any(row[2:]):
            rows.append(row)
        seeds = len(selections(found, cell, budget, strategy, "transport_heldout"))
        taught = len(students(found, cell, budget, strategy, fits.ALONE))
        mixed = len(students(found, cell, budget, strategy, fits.MIXED))
        for name, there, wanted in (
            ("selections", seeds, options.seeds),
            ("students", taught, options.student_seeds),
            ("students with reference", mixed, options.student_seeds),
        ):
            if there < wanted:
                missing.append(f"{name} of {cell.name} at {budget:.0%}")
                row[1] += f" ({there} of {wanted} seeds)" if there else ""
        one_epoch = (
            _one_epoch(found, cell, options.student_seeds, missing) if strategy == "everything" else []
        )
        if any(one_epoch[2:]):
            rows.append(one_epoch)
    heading = (
        f"**{cell.corpus}, target {cell.target}** ({corpus['documents']:,} documents, {corpus['tokens']:,} "
        f"tokens; {target['reference']} reference and {target['test']} test examples)"
    )
    return heading + "\n\n" + table(_HEAD, rows) if rows else ""


def row_of(found: Found, cell: Cell, budget: float, strategy: str) -> list[str]:
    def each(field: str) -> dict[int, float]:
        return selections(found, cell, budget, strategy, field)

    alone = students(found, cell, budget, strategy, fits.ALONE)
    both = students(found, cell, budget, strategy, fits.MIXED)
    others = {
        "nearest-cluster": students(found, cell, budget, "nearest-cluster", fits.ALONE),
        "random": students(found, cell, budget, "random", fits.ALONE),
        "everything": students(found, cell, 1.0, "everything", fits.ALONE),
    }
    return [
        f"{budget:.0%}",
        strategy,
        _mean(each("tokens"), ",.0f"),
        _mean(each("cost"), ".3f"),
        _mean(each("pairs"), ",.0f"),
        spread(each("transport_heldout")),
        _median(each("seconds"), ".1f"),
        _median(each("seconds_extracting"), ".1f"),
        _median(students(found, cell, budget, strategy, fits.ALONE, "seconds"), ".1f"),
        spread(alone),
        *("" if other == strategy else difference(alone, values) for other, values in others.items()),
        spread(both),
        difference(both, students(found, cell, 0.0, "reference", fits.ALONE)),
    ]


def _one_epoch(found: Found, cell: Cell, seeds: int, missing: list[str]) -> list[str]:
    def each(field: str) -> dict[int, float]:
        return students(found, cell, 1.0, "everything", fits.OWN_END, field)

    if len(each("nll")) < seeds:
        missing.append(f"everything for one epoch of {cell.name}")
    name = f"everything, one epoch ({_mean(each('tokens'), ',.0f')} tokens)"
    return ["100%", name, *[""] * 6, _median(each("seconds"), ".1f"), spread(each("nll")), *[""] * 5]


def selections(found: Found, cell: Cell, budget: float, strategy: str, field: str) -> dict[int, float]:
    return _by_seed(found, cell, budget, strategy, "selection", field)


def students(
    found: Found, cell: Cell, budget: float, strategy: str, kind: str, field: str = "nll"
) -> dict[int, float]:
    return _by_seed(found, cell, budget, strategy, kind, field)


def _by_seed(
    found: Found, cell: Cell, budget: float, strategy: str, kind: str, field: str
) -> dict[int, float]:
    return {
        row["seed"]: row[field]
        for row in found.values()
        if (row["corpus"], row["target"], row["strategy"], row["kind"])
        == (cell.corpus, cell.target, strategy, kind)
        and row["budget"] == budget
        and row[field] is not None
    }


def spread(values: Mapping[int, float]) -> str:
    """Mean ± standard deviation."""
    if len(values) < 2:
        return _mean(values, ".3f")
    return f"{mean(values.values()):.3f} ± {stdev(values.values()):.3f}"


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """Mean paired difference ± its standard error; bold where it is more than two of them from 0."""
    both = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not both:
        return ""
    if len(both) < 2:
        return f"{both[0]:+.3f}"
    error = stdev(both) / math.sqrt(len(both))
    text = f"{mean(both):+.3f} ± {error:.3f}"
    return f"**{text}**" if abs(mean(both)) > 2 * error else text


def _median(values: Mapping[int, float], form: str) -> str:
    """Of times, which other work on the machine lengthens and nothing shortens."""
    return format(median(values.values()), form) if values else ""


def _mean(values: Mapping[int, float], form: str) -> str:
    return format(mean(values.values()), form) if values else ""
