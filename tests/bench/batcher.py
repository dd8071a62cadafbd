"""BATCHER's design points, its covering, the embedded matcher and blocking on four entity-resolution benchmarks.

    python -m tests.bench.batcher [--only beer] [--seeds 20] [--output tests/bench/batcher.md]

Writes the tables below the account in the Markdown file. A data set that is not on this machine is left out, with a line. Some
four minutes on one core. No language model is asked: tokens are estimated, and F1 is the matcher's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, pstdev

from tasks.match.blocking import BlockingReport, blocking_report, candidates
from tasks.storage.tables import write_text
from tests.bench.er import BENCHMARKS, FOLDER, Benchmark, Data, joined, load
from tests.bench.er_labels import Labels, coverings
from tests.bench.er_matcher import Learnt, Routed, learnt, routed
from tests.bench.er_prompts import Point, design_points
from tests.bench.markdown import table

PAGE = Path(__file__).with_name("batcher.md")
MARK = "<!-- The tables below are written by python -m tests.bench.batcher. -->"
NEIGHBOURS = (5, 10, 20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.batcher", description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", default=[], choices=[one.name for one in BENCHMARKS])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--output", type=Path, default=PAGE)
    given = parser.parse_args()
    chosen = [one for one in BENCHMARKS if not given.only or one.name in given.only]
    data = []
    for benchmark in chosen:
        found = load(benchmark)
        if found is None:
            print(f"{benchmark.name}: left out, its data is not in {FOLDER}", file=sys.stderr)
        else:
            data.append(found)
    if not data:
        return
    tables = [
        "## Labels of the covering",
        labels_table([row for one in data for row in coverings(one)]),
        "## F1 of the embedded matcher on test",
        learnt_table([row for one in data for row in learnt(one, given.seeds)]),
        "## What the matcher leaves to ask",
        routed_table([routed(one) for one in data]),
        "## Blocking",
        blocking_table([(one.benchmark.name, k, blocked(one, k)) for one in data for k in NEIGHBOURS]),
        *[text for one in data for text in (f"## Design points: {one.benchmark.name}", points(one))],
    ]
    write_page(given.output, tables)


def points(data: Data) -> str:
    return points_table(design_points(data), data.benchmark)


def write_page(path: Path, tables: Sequence[str]) -> None:
    """The account that stands in the file, and the tables below it."""
    account = (
        path.read_text(encoding="utf-8").split(MARK)[0].rstrip() if path.exists() else "# BATCHER, measured"
    )
    write_text(path, "\n\n".join([account, MARK, *tables]) + "\n")


def points_table(found: Sequence[Point], benchmark: Benchmark) -> str:
    """The first point is what the others' input tokens are compared with."""
    head = (
        "questions", "demonstrations", "labels", "uncovered", "prompts", "all different", "demonstrations a prompt",
        "demonstrations in all", "input tokens a question", "fewer by", "repeated",
    )  # fmt: skip
    rows = [
        [
            one.batching,
            one.selection,
            f"{one.labels - one.fallback} + {one.fallback}" if one.fallback else f"{one.labels}",
            f"{one.uncovered}",
            f"{one.batches}",
            f"{one.diverse:.0%}",
            f"{one.demonstrations / one.batches:.1f}",
            f"{one.demonstrations:,}",
            f"{one.per_question:.1f}",
            f"{found[0].per_question / one.per_question:.2f}x",
            f"{one.repeated:.0%}",
        ]
        for one in found
    ]
    published = benchmark.tokens * 1000 / found[0].questions
    rows.append(
        [
            "diversity",
            "covering, published",
            f"{benchmark.labels}",
            *[""] * 5,
            f"{published:.1f}",
            "4x to 7x",
            "",
        ]
    )
    return table(head, rows)


def labels_table(found: Sequence[Labels]) -> str:
    head = (
        "data", "compared", "greedy", "shown in a prompt", "beyond", "smaller", "smallest", "published",
        "greedy to published", "greedy to smallest", "smaller to smallest",
    )  # fmt: skip
    rows = [
        [
            one.data,
            f"{one.compared} (as the authors)" if one.theirs else one.compared,
            f"{one.greedy}",
            f"{one.shown}",
            f"{one.beyond}",
            f"{one.labels}",
            "" if one.exact is None else f"{one.exact}",
            f"{one.published}",
            f"{one.greedy / one.published - 1:+.0%}",
            "" if one.exact is None else f"{one.greedy / one.exact - 1:+.0%}",
            "" if one.exact is None else f"{one.labels / one.exact - 1:+.0%}",
        ]
        for one in found
    ]
    return table(head, rows)


def learnt_table(found: Sequence[Learnt]) -> str:
    earlier = {(one.name, labels): f1 for one in BENCHMARKS for labels, f1 in _earlier(one)}
    head = ("data", "labels", "pairs", "matches of them", "seeds", "one class", "F1", "earlier forest")
    rows = [
        [
            one.data,
            one.labels,
            f"{one.count:,}",
            f"{one.matches:.1f}",
            f"{len(one.f1)}",
            f"{one.one_class}",
            f"{100 * mean(one.f1):.1f} ± {100 * pstdev(one.f1):.1f}",
            f"{earlier[one.data, one.labels]:.1f}" if (one.data, one.labels) in earlier else "",
        ]
        for one in found
    ]
    return table(head, rows)


def _earlier(benchmark: Benchmark) -> tuple[tuple[str, float], ...]:
    return ("all training pairs", benchmark.full), ("random, 40", benchmark.few)


def routed_table(found: Sequence[Routed]) -> str:
    head = (
        "data",
        "promise",
        "labelled sample",
        "asked",
        "decided wrongly",
        "F1 of what it decides",
        "F1, the asked right",
    )
    rows = [
        [
            one.data,
            "5 % wrong, 90 % sure",
            f"{one.sample:,}",
            f"{one.asked:.1%}",
            f"{one.wrong:.2%}",
            f"{100 * one.f1_decided:.1f}",
            f"{100 * one.f1_answered:.1f}",
        ]
        for one in found
    ]
    return table(head, rows)


def blocked(data: Data, neighbours: int) -> BlockingReport:
    found = candidates(data.left, data.right, data.shared, neighbours=neighbours)
    return blocking_report(found, data.left, data.right, joined(data.pool, data.questions))


def blocking_table(found: Sequence[tuple[str, int, BlockingReport]]) -> str:
    head = ("data", "neighbours", "candidates", "left out", "matches", "recall")
    rows = [
        [
            name,
            f"{neighbours}",
            f"{one.candidates:,}",
            f"{one.reduction:.2%}",
            f"{one.matches:,}",
            "" if one.recall is None else f"{one.recall:.1%}",
        ]
        for name, neighbours, one in found
    ]
    return table(head, rows)


if __name__ == "__main__":
    main()
