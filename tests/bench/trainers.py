"""What a student learns from an EQUAL run's pairs by each trainer, on as many tokens.

    python -m tests.bench.trainers RUN [--seeds 3] [--shares 0.25,1] [--out runs/bench/trainers.jsonl]

RUN is the folder of a finished run. Its base student is trained anew on the pairs that the run extracted: in random order ("plain"), on those that
LEAD chooses for all others ("lead, no reference"), and on those that it chooses for the target's reference part ("lead"). Tokens are a
share of those of all pairs. Judged by the target's test part. Prints a line of JSON for each training, and a table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from tasks.corpus.target import Target
from tasks.loop.students import BASE, example_pairs
from tasks.storage.tables import read_rows
from tasks.train.threads import one_thread
from tasks.train.train import count_tokens, train_student
from tasks.train.training import Training
from tests.bench.markdown import table
from tests.bench.measure import shares
from tests.bench.tables import difference, spread

TRAINERS = ("plain", "lead, no reference", "lead")

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    own = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    own.add_argument("run", type=Path)
    own.add_argument("--seeds", type=int, default=3)
    own.add_argument("--shares", type=shares, default=[0.25, 1.0])
    own.add_argument("--out", type=Path, default=Path("runs/bench/trainers.jsonl"))
    given = own.parse_args(arguments)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with one_thread():
        for share, seed, trainer in product(given.shares, range(given.seeds), TRAINERS):
            rows.append(measure(given.run, trainer, share, seed))
            line = json.dumps(rows[-1])
            print(line, flush=True)
            with given.out.open("a") as file:
                file.write(line + "\n")
    print(markdown(rows))


def measure(run: Path, trainer: str, share: float, seed: int) -> Row:
    pairs = [
        (row["question"], row["answer"]) for row in read_rows(run / "pairs.parquet", ["question", "answer"])
    ]
    target = Target.load(run / "target")
    began = time.process_time()
    told = train_student(
        run / BASE,
        None,
        pairs,
        example_pairs(target.test),
        Training(tokens=round(share * count_tokens(run / BASE, pairs, 512)), seed=seed),
        trainer="plain" if trainer == "plain" else "lead",
        reference=example_pairs(target.reference) if trainer == "lead" else (),
    )
    seconds = time.process_time() - began
    return {"trainer": trainer, "share": share, "seed": seed, **told, "cpu": seconds}


def markdown(rows: Sequence[Row]) -> str:
    lines = []
    for share, trainer in product(dict.fromkeys(row["share"] for row in rows), TRAINERS):
        own, plain = (
            {row["seed"]: row for row in rows if (row["share"], row["trainer"]) == (share, name)}
            for name in (trainer, "plain")
        )
        nll = {seed: row["nll"] for seed, row in own.items()}
        lines.append(
            [
                f"{share:g}",
                trainer,
                f"{sum(row['tokens'] for row in own.values()) / len(own):,.0f}",
                f"{sum(row['cpu'] for row in own.values()) / len(own):.0f}",
                spread(nll),
                ""
                if trainer == "plain"
                else difference(nll, {seed: row["nll"] for seed, row in plain.items()}),
            ]
        )
    return table(["share", "trainer", "tokens", "CPU s", "NLL", "− plain"], lines)


if __name__ == "__main__":
    main()
