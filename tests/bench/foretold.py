"""Does what a training step foretells of its examples' losses go with what becomes of them?

    python -m tests.bench.foretold [--seeds 3] [--steps 40]

LEAD keeps an example's uncertainty up to date by what later steps foretell of its loss (tasks/select/idu.py). Here each step of AdamW
at 1e-3 is foretold for its own examples and for those visited in the 11 steps before it, in the paper's way (mixture) and to first
order, and their losses are measured before and after it. "nothing" foretells that no loss changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from tasks.train.checkpoint import load_student
from tasks.train.format import Examples, encode_pairs
from tasks.train.student import make_student
from tasks.train.threads import one_thread
from tests.bench import targets
from tests.bench.markdown import table
from tests.lead.foretelling import CHANGES, Changes, foretold
from tests.lead.prepared import examples as sums_and_cooking
from tests.select.influence.causal_models import make_examples, make_model

COUNT, BATCH = 400, 8  # examples, and those of a step
STUDENT: dict[str, Any] = {
    "vocabulary": 400,
    "width": 64,
    "layers": 2,
    "pretrain_tokens": 20_000,
    "sequence_tokens": 256,
}


def cases(seed: int, folder: Path) -> Iterator[tuple[str, Any, Examples]]:
    """Name, model and examples of each set."""
    yield "random tokens, random weights", make_model(seed=seed), make_examples(COUNT, seed, prompts=True)
    known = {"sums and cooking": sums_and_cooking(COUNT)}
    if targets.SHARED.exists():
        known["GSM8K"] = targets.problems("train", COUNT)
    for name, rows in known.items():
        pairs = [(row["question"], row["answer"]) for row in rows]
        path = folder / f"{name}-{seed}"
        make_student(path, (" ".join(pair) for pair in pairs), **STUDENT, seed=seed)
        model, tokenizer = load_student(path)
        yield name, model, encode_pairs(tokenizer, pairs, STUDENT["sequence_tokens"])


def measured(seeds: int, steps: int) -> dict[tuple[str, str], list[Changes]]:
    """By set and by which examples, one of each seed."""
    found: dict[tuple[str, str], list[Changes]] = {}
    with TemporaryDirectory() as folder, one_thread():
        for seed in range(seeds):
            for name, model, examples in cases(seed, Path(folder)):
                parts = foretold(model, examples, steps=steps, batch=BATCH)
                for which, part in zip(("the step's own", "visited before"), parts, strict=True):
                    found.setdefault((name, which), []).append(part)
                print(f"seed {seed}, {name}", flush=True)
    return found


def markdown(found: dict[tuple[str, str], list[Changes]]) -> str:
    """Mean and standard deviation over the seeds."""
    rows = []
    for (name, which), parts in found.items():
        errors = [mean(part.error(way) for part in parts) for way in (*CHANGES, None)]
        rows.append(
            [
                name,
                which,
                *(_spread([part.r(way) for part in parts]) for way in CHANGES),
                *(f"{error:.4f}" for error in errors),
            ]
        )
    head = ["set", "examples", *(f"r, {way}" for way in CHANGES)]
    return table([*head, *(f"error, {way}" for way in CHANGES), "error, nothing"], rows)


def _spread(values: list[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.foretold", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    print(markdown(measured(given.seeds, given.steps)))


if __name__ == "__main__":
    main()
