"""Strategies of the main job against each other: what they read, how near it is to the target, what it teaches.

    python -m tests.bench.equal [--corpora demo,mixed-6000] [--budgets 0.05] [--seeds 5] [--out runs/bench-equal] [--table]

Runs the stages of the loop without Prefect and Dask, two measurements at a time, each on one core. A measurement is a
line of OUT/results.jsonl, with a fingerprint of the code that made it; a stopped benchmark continues where it was, with
the same --train-tokens. OUT/table.md holds the tables of what is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import cells, fits, measure, tables

STRATEGIES = (
    "random",
    "everything",
    "mean-similarity",
    "dsir",
    "nearest-cluster",
    "ucb-paper",
    "ucb",
    "thompson",
    "ucb-prior",
)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    return measure.options_of(
        "equal",
        (__doc__ or "").split("\n")[0],
        budgets=[0.05, 0.1, 0.2],
        strategies=list(STRATEGIES),
        seeds=5,
        student_seeds=3,
        kinds=list(fits.KINDS),
        out=Path("runs/bench-equal"),
    ).parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing and print the tables. Returns the exit code."""
    return measure.run_comparison(options(arguments), cells.EQUAL, tables.markdown)


if __name__ == "__main__":
    sys.exit(main())
