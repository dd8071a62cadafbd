"""Measuring what is missing: selections of every strategy, then students of them, two at a time, each on one core."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tasks.records import BadInput
from tasks.storage.tables import write_text
from tests.bench import cells, fits, results, selections, targets
from tests.bench.cells import Cell

Job = tuple[Callable[..., None], tuple[Any, ...]]


def jobs(options: argparse.Namespace, chosen: Sequence[Cell], done: set[results.Key]) -> Iterator[list[Job]]:
    """Phases of jobs; those of a phase do not need each other. What is measured is left out."""
    out, budgets, names = options.out, options.budgets, options.strategies
    selected = [name for name in names if name not in ("everything", selections.ORACLE)]

    def missing(cell: Cell, budget: float, strategy: str, seed: int, kind: str) -> bool:
        return (cell.corpus, cell.target, budget, strategy, seed, kind) not in done

    def unread(cell: Cell, budget: float, strategy: str) -> list[int]:
        return [seed for seed in range(options.seeds) if missing(cell, budget, strategy, seed, "selection")]

    yield [(cells.prepare_cell, (cell, out)) for cell in chosen]
    # Those that choose among pairs ask the student of their seed.
    asking = options.seeds if any(map(selections.asks_student, names)) else 0
    yield [
        (fits.make_base, (out, cell, seed))
        for cell, seed in product(chosen, range(max(options.student_seeds, asking)))
        if missing(cell, 0.0, "base", seed, fits.ALONE)
    ]
    yield (
        [
            (selections.select, (out, cell, budget, seed, wanted, options.train_tokens))
            for budget, cell, seed in product(budgets, chosen, range(options.seeds))
            if (wanted := [name for name in selected if missing(cell, budget, name, seed, "selection")])
        ]
        + [
            (selections.select_oracle, (out, cell, oracle, options.train_tokens))
            for cell in chosen
            if selections.ORACLE in names
            if (
                oracle := {
                    budget: seeds for budget in budgets if (seeds := unread(cell, budget, selections.ORACLE))
                }
            )
        ]
        + [
            (selections.select_everything, (out, cell, seeds))
            for cell in chosen
            if "everything" in names
            if (seeds := unread(cell, 1.0, "everything"))
        ]
    )
    for number, budget in enumerate(budgets):
        for kind in options.kinds:
            students = [
                (budget, name, kind) for name in names if name != "everything" and kind != fits.OWN_END
            ]
            if number == 0 and "everything" in names:  # nothing else has an end of its own
                students.insert(0, (1.0, "everything", kind))
            if number == 0 and kind == fits.ALONE:
                students.insert(0, (0.0, "reference", kind))
            yield _student_jobs(options, chosen, students, missing)


def _student_jobs(
    options: argparse.Namespace,
    chosen: Sequence[Cell],
    students: Sequence[tuple[float, str, str]],
    missing: Callable[..., bool],
) -> list[Job]:
    return [
        (fits.train_students, (options.out, cell, seed, wanted, options.train_tokens))
        for cell, seed in product(chosen, range(options.student_seeds))
        if (wanted := [one for one in students if missing(cell, one[0], one[1], seed, one[2])])
    ]


def measure(options: argparse.Namespace, chosen: Sequence[Cell], show: Callable[[], None]) -> None:
    """Measure what is not in the results yet.

    Args:
        show: called after every measurement.
    """
    cells.write_inputs(options.out, chosen)
    # One thread a process: two torch processes with two threads each fall to a sixth of the speed.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    began = time.monotonic()
    with ProcessPoolExecutor(options.workers, get_context("spawn"), initializer=_start_worker) as pool:
        for phase in jobs(options, chosen, set(results.load(options.out))):
            for number, _ in enumerate(_run(pool, phase), start=1):
                print(f"{time.monotonic() - began:7.0f} s  {number} of {len(phase)}", flush=True)
                show()


def _run(pool: ProcessPoolExecutor, phase: Sequence[Job]) -> Iterator[None]:
    running = [pool.submit(function, *given) for function, given in phase]
    try:
        for one in as_completed(running):
            yield one.result()
    finally:
        for one in running:
            one.cancel()


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)
    results.fingerprint()


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def shares(text: str) -> list[float]:
    return [float(word) for word in words(text)]


def numbers(text: str) -> list[int]:
    return list(map(int, text.split(",")))


def sizes(text: str) -> tuple[int, int, int]:
    """Of a student: its width, its layers, and the tokens it is pre-trained on, as 128x3x200000."""
    width, layers, tokens = map(int, text.split("x"))
    return width, layers, tokens


def parser_of(program: str, description: str, out: Path) -> argparse.ArgumentParser:
    """A parser with what every benchmark that keeps its measurements has."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{program}", description=description)
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--table", action="store_true", help="only print the tables of what is measured")
    return parser


def run_on_mixture(
    options: argparse.Namespace,
    measure: Callable[[argparse.Namespace], None],
    markdown: Callable[[argparse.Namespace], str],
) -> int:
    """Measure on the shared mixture what is missing, unless only tables are asked for, and print them. Returns the exit code."""
    options.out = options.out.resolve()
    if not targets.MIXED.exists():
        print(f"left out: its data is not in {targets.SHARED}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.table:
        measure(options)
    print(markdown(options))
    return 0


def options_of(program: str, description: str, **defaults: Any) -> argparse.ArgumentParser:
    """The options that every comparison has.

    Args:
        defaults: budgets, strategies, seeds, student_seeds, kinds, out.
    """
    parser = parser_of(program, description, Path())
    parser.add_argument("--corpora", type=words, default=[], help="by default all")
    parser.add_argument("--targets", type=words, default=[], help="by default all")
    parser.add_argument("--budgets", type=shares)
    parser.add_argument("--strategies", type=words)
    parser.add_argument("--seeds", type=int, help="of the selections")
    parser.add_argument("--student-seeds", type=int, help="of the students, the first ones")
    parser.add_argument("--kinds", type=words, help="of students")
    parser.add_argument("--train-tokens", type=int, default=60_000, help="of a student on a selection")
    parser.add_argument("--workers", type=int, default=2)
    parser.set_defaults(**defaults)
    return parser


def run_comparison(
    options: argparse.Namespace,
    among: Sequence[Cell],
    markdown: Callable[[argparse.Namespace, Sequence[Cell]], str],
    first: Sequence[argparse.Namespace] = (),
) -> int:
    """Measure what is missing and print the tables.

    Args:
        first: what to measure beforehand, for other tables of the same folder.

    Returns:
        The exit code: 2 where OUT is of other settings.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        results.keep_settings(
            options.out,
            {"train_tokens": options.train_tokens, "reference": targets.REFERENCE, "test": targets.TEST},
        )
    except BadInput as problem:
        print(problem, file=sys.stderr)
        return 2
    chosen, absent = cells.cells(among, options.corpora, options.targets)
    for cell in absent:
        print(f"{cell.name}: left out, its data is not in {targets.SHARED}")
    if not options.table:
        for beforehand in first:
            measure(beforehand, chosen, lambda: None)
        measure(options, chosen, lambda: write_text(options.out / "table.md", markdown(options, chosen)))
    text = markdown(options, chosen)
    write_text(options.out / "table.md", text)
    print(text)
    return 0
