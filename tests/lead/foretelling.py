"""What steps of training foretell of their examples' losses, beside what becomes of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.lead.steps import Trainer
from tasks.select.idu import Change, loss_change
from tasks.select.influence.examples import GradientSketch
from tasks.train.finetune import answer_losses
from tasks.train.format import IGNORED, Examples, pad

CHANGES: tuple[Change, ...] = ("mixture", "first-order")


@dataclass(frozen=True)
class Changes:
    """Of n visits: the change of the loss by one step, nats.

    Args:
        real: (n,).
        told: by way of foretelling, (n,) each.
    """

    real: np.ndarray
    told: dict[Change, np.ndarray]

    def r(self, change: Change) -> float:
        """Pearson's, between what is foretold and what happens."""
        return float(np.corrcoef(self.told[change], self.real)[0, 1])

    def error(self, change: Change | None) -> float:
        """Root mean square of the difference, nats; None foretells no change at all."""
        told = 0.0 if change is None else self.told[change]
        return float(np.sqrt(np.square(told - self.real).mean()))


def losses(model: Any, examples: Examples, rows: np.ndarray | None = None) -> np.ndarray:
    """Mean loss of each example's answer tokens, without dropout."""
    input_ids, labels = pad(examples, np.arange(len(examples)) if rows is None else rows, 0)
    with torch.inference_mode():
        each = answer_losses(model, input_ids, labels, torch.device("cpu"))[0].numpy()
    owner = np.nonzero(labels[:, 1:] != IGNORED)[0]
    return np.bincount(owner, each) / np.bincount(owner)


def foretold(
    model: Any, examples: Examples, *, steps: int = 40, batch: int = 4, span: int = 12, rate: float = 1e-3
) -> tuple[Changes, Changes]:
    """Train on the examples in turn, and foretell at each step the losses of those visited in the last `span` steps.

    Args:
        steps: of AdamW.
        batch: examples of a step.
        rate: of learning.

    Returns:
        Of the examples of the step itself, and of those visited before it.
    """
    trainer = Trainer(model, rate, GradientSketch(model, 32))
    known: dict[int, tuple[float, np.ndarray]] = {}  # the last visited at the end
    found: dict[bool, list[list[float]]] = {True: [], False: []}
    for number in range(steps):
        visited = (np.arange(batch) + batch * number) % len(examples)
        for row in visited.tolist():
            known.pop(row, None)
        rows = np.array([*known, *visited])[-span * batch :]
        before = losses(model, examples, rows)
        step = trainer.step(*pad(examples, visited, 0))
        after = losses(model, examples, rows)
        known.update(zip(visited.tolist(), zip(step.squares, step.sketches, strict=True), strict=True))
        for row, change in zip(rows.tolist(), after - before, strict=True):
            square, sketch = known[row]
            lengths = np.linalg.norm(sketch) * np.linalg.norm(step.move.sketch)
            cosine = np.array([sketch @ step.move.sketch / lengths])
            told = [
                float(loss_change(np.array([square]), step.move.square, cosine, step.move.rate, way)[0])
                for way in CHANGES
            ]
            found[row in visited].append([change, *told])
    own, earlier = (np.array(found[among]) for among in (True, False))
    return _changes(own), _changes(earlier)


def _changes(rows: np.ndarray) -> Changes:
    return Changes(rows[:, 0], {way: rows[:, number] for number, way in enumerate(CHANGES, start=1)})
