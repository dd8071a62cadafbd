"""BATCHER's design points answered by a language model: F1 and tokens, beside the embedded matcher with the same labels.

    python -m tests.bench.answered --llm-url http://127.0.0.1:8080/v1 --model NAME [--only beer] [--points diversity-covering]

Every point is a run of `sluice batcher` in OUT/MODEL/DATA/POINT; one that was stopped goes on, one that is done is read. Prints the
table of all that is done. answered.md holds the account of what was found, and says how to get the model and its server.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.match.batching import BATCHINGS
from tasks.match.demonstrations import FIXED, SELECTIONS
from tasks.match.evaluate import Score, score
from tasks.storage.tables import read_json, read_rows
from tests.bench.er import BENCHMARKS, FOLDER, Benchmark
from tests.bench.markdown import table
from tests.bench.targets import ROOT

SINGLE, BATCH = "one-by-one", 8
OUT = Path("runs/bench-answered")
# F1 in the paper, with GPT-3.5 (arXiv 2312.03987), in the order of PUBLISHED_ON.
PUBLISHED_ON = ("beer", "itunes-amazon", "amazon-google", "dblp-acm")
PUBLISHED = {
    f"{SINGLE}-fixed": (91.11, 90.59, 53.72, 85.96),
    "random-fixed": (88.31, 91.75, 61.07, 92.10),
    "diversity-topk-question": (89.66, 98.17, 64.57, 94.28),
    "diversity-covering": (96.55, 96.43, 62.16, 94.96),
}

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """How questions share prompts, and which demonstrations these show."""

    batching: str
    selection: str
    size: int = BATCH

    @property
    def name(self) -> str:
        """A run's name too."""
        return f"{self.batching}-{self.selection}" + ("" if self.size in (1, BATCH) else f"-{self.size}")

    @property
    def flags(self) -> list[str]:
        batching = [] if self.size == 1 else ["--batching", self.batching]
        return [*batching, "--batch-size", str(self.size), "--selection", self.selection]


POINTS = {
    one.name: one
    for one in (
        Point("diversity", "covering"),
        Point(SINGLE, FIXED, 1),
        *(Point("diversity", "covering", size) for size in (2, 4)),
        *(Point(batching, selection) for batching in BATCHINGS for selection in SELECTIONS),
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask what is missing and print the table. Returns the exit code: of the first run that did not end well."""
    given = options().parse_args(arguments)
    out = given.out / given.model.replace("/", "_")
    benchmarks = [one for one in BENCHMARKS if one.name in given.only]
    chosen = [POINTS[name] for name in given.points]
    code = 0
    for benchmark in benchmarks:
        if not (FOLDER / benchmark.name).is_dir():
            print(f"{benchmark.name}: left out, its data is not in {FOLDER}", file=sys.stderr)
            continue
        for point in chosen:
            folder = out / benchmark.name
            if given.llm_url and not (folder / "batcher" / point.name / "summary.json").exists():
                code = code or subprocess.run(command(benchmark, point, folder, given), cwd=ROOT).returncode
    print(table(HEAD, [row for one in benchmarks for row in rows(one, out / one.name)]))
    return code


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.answered", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--llm-url", default="", help="without it nothing is asked")
    parser.add_argument("--model", required=True)
    parser.add_argument(
        "--only", nargs="+", default=["beer", "itunes-amazon"], choices=[one.name for one in BENCHMARKS]
    )
    parser.add_argument("--points", nargs="+", default=list(POINTS), choices=list(POINTS), metavar="POINT")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds of a request")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser


def command(benchmark: Benchmark, point: Point, folder: Path, given: argparse.Namespace) -> list[str]:
    """The command of a point's run, or of its going on. Each has a folder of runs of its own: none gets another's replies."""
    place = FOLDER / benchmark.name
    runs = folder.resolve()
    started = (runs / "batcher" / point.name).exists()
    tables = [
        *("--left", place / "tableA.csv", "--right", next(place.glob("tableB*.csv"))),
        *("--pairs", place / "test.csv", "--labels", place / "train.csv", place / "valid.csv"),
        *("--attributes", *benchmark.attributes),
        *(["--merged"] if benchmark.merged else []),
    ]
    asked = [
        *("--judge", "llm", "--llm-url", given.llm_url, "--model", given.model),
        *("--concurrency", given.concurrency, "--llm-timeout", given.timeout),
    ]
    own = ["--resume" if started else "--run", point.name, "--runs-dir", runs]
    return [
        *(sys.executable, "-m", "flows", "batcher"),
        *map(str, [*own, *asked, *([] if started else [*tables, *point.flags])]),
    ]


HEAD = (
    "data", "point", "labels", "F1", "precision", "recall", "undecided", "requests", "asked again", "tokens sent",
    "answered", "seconds", "matcher's F1", "published F1",
)  # fmt: skip


def rows(benchmark: Benchmark, folder: Path) -> Iterator[list[str]]:
    """What is done of a data set. Tokens and seconds are for a question."""
    for point in POINTS.values():
        run = folder / "batcher" / point.name
        if not (run / "summary.json").exists():
            continue
        summary: Facts = read_json(run / "summary.json")
        questions = summary["questions"]
        figures = PUBLISHED.get(point.name)
        yield [
            benchmark.name,
            f"{point.batching} + {point.selection}"
            + (f", {point.size} at once" if 1 < point.size < BATCH else ""),
            f"{summary['labels_used']}",
            *(f"{100 * summary[name]:.1f}" for name in ("f1", "precision", "recall")),
            f"{summary['undecided']}",
            f"{summary['requests']}",
            f"{max(0, summary['requests'] - summary['batches'])}",  # batches that are alike are asked once
            f"{summary['tokens_in'] / questions:.0f}",
            f"{summary['tokens_out'] / questions:.1f}",
            f"{summary['seconds']['ask the model'] / questions:.1f}",
            f"{100 * by_matcher(run).f1:.1f}",
            f"{figures[PUBLISHED_ON.index(benchmark.name)]:.1f}" if figures else "",
        ]


def by_matcher(run: Path) -> Score:
    """What the embedded matcher says of a run's questions, learnt from the labels of its demonstrations."""
    found = read_rows(run / "explanations.parquet")
    matches = np.array([row["matcher_probability"] >= 0.5 for row in found])
    return score(matches, np.array([int(row["truth"]) for row in found]))


if __name__ == "__main__":
    sys.exit(main())
