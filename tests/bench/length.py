"""How long to fine-tune the students that are compared: their NLL on the reference part, which trained none of them.

python -m tests.bench.length [--cell mixed-6000-gsm8k] [--out runs/bench-equal]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tasks.corpus.target import Target
from tasks.loop.students import example_pairs
from tests.bench import cells, fits

LENGTHS = (0, 15_000, 30_000, 60_000, 120_000, 240_000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per strategy and length; the test part is not read."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.length", description=__doc__.split("\n")[0])
    parser.add_argument("--cell", default="mixed-6000-gsm8k")
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--strategies", default="random,nearest-cluster")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-equal"))
    options = parser.parse_args(arguments)
    cell = next(cell for cell in cells.cells(cells.EQUAL)[0] if cell.name == options.cell)
    if not fits.base_path(options.out, cell, 0).exists():
        fits.make_base(options.out, cell, 0)
    reference = example_pairs(Target.load(cells.folder(cell, options.out) / "target").reference)
    for strategy in options.strategies.split(","):
        pairs = fits.kept(options.out, cell, options.budget, strategy, 0)
        for tokens in LENGTHS:
            row = fits.fit(options.out, cell, 0, pairs, tokens, test=reference)
            print(
                f"{cell.name} {strategy} {tokens:7d} tokens: NLL {row['nll']:.3f}, {row['seconds']:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
