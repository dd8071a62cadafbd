"""Labels that are all right, or nearly: how many of them wrong events doubt, and what that costs in accuracy.

    python -m tests.bench.clean_labels [--seeds 2]

The network, rates and epochs are those of tests/bench/wrong_event.py; the seed is of weights and order, of the Gaussians, and of the noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch

from tests.bench.markdown import table
from tests.bench.noisy_labels import Split, Task, available, corpus, digits, made_wrong, split
from tests.bench.noisy_own import two_stages

_GAUSSIAN_ROWS, _BATCH = 600, 64  # of both classes together; a third judges


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.clean_labels", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, make in DATA.items():
        if name == "corpus" and not available("corpus"):
            continue
        for base in ("agreement", "label-wave"):
            found = [_doubted(make(seed), seed, base) for seed in range(given.seeds)]
            rows.append([name, base, *(", ".join(cells) for cells in zip(*found, strict=True))])
    head = ["data", "goes on from", "wrong labels, %", "doubted, %", "of these wrong, %", "accuracy, %"]
    print(table(head, rows))


def _doubted(task: Task, seed: int, base: str) -> list[str]:
    found = two_stages(task, seed, base=base)
    doubted = found.suspicion > 0.5
    caught = f"{100 * doubted[task.wrong].mean():.0f}" if task.wrong.any() else ""
    right = (found.predicted == task.split.test_labels).mean()
    return [f"{100 * task.wrong.mean():.1f}", f"{100 * doubted.mean():.1f}", caught, f"{100 * right:.1f}"]


def _gaussians(apart: float) -> Callable[[int], Task]:
    """Two classes of equal size in the plane, their means so many deviations apart."""

    def make(seed: int) -> Task:
        random = np.random.default_rng(seed)
        labels = np.repeat([0, 1], _GAUSSIAN_ROWS // 2)
        values = random.normal(size=(len(labels), 2))
        values[:, 0] += apart * labels
        return _right(split(values.astype(np.float32), labels, _BATCH))

    return make


def _breast_cancer() -> Split:
    """scikit-learn's 569 rows of 30 standardised numbers."""
    from sklearn.datasets import load_breast_cancer

    values, labels = load_breast_cancer(return_X_y=True)
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    return split(standard.astype(np.float32), labels.astype(np.int64), _BATCH)


def _right(of: Split) -> Task:
    return Task(of, of.labels)


DATA: dict[str, Callable[[int], Task]] = {
    "two Gaussians, 10 apart": _gaussians(10),
    "two Gaussians, 6 apart": _gaussians(6),
    "two Gaussians, 4 apart": _gaussians(4),
    "breast cancer": lambda seed: _right(_breast_cancer()),
    "digits": lambda seed: _right(digits()),
    "corpus": lambda seed: _right(corpus()),
    "digits, sym 1": lambda seed: made_wrong(digits(), "sym 1", seed),
    "digits, sym 5": lambda seed: made_wrong(digits(), "sym 5", seed),
}


if __name__ == "__main__":
    main()
