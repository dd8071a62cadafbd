"""Items in the plane, three labels, workers of whom some are poor: what the tests of learning from crowds share."""

from __future__ import annotations

import numpy as np

from tasks.classify.training import Training
from tasks.crowd.answers import Answers
from tasks.crowd.learn.problem import Problem

QUICK = Training(epochs=10, learning_rate=2e-2, batch=32)


def crowded(
    each: int = 1, items: int = 240, answered: int = 180, seed: int = 0
) -> tuple[Problem, np.ndarray]:
    """A problem, and the right labels of all its items. Worker 0 answers the next label throughout, worker 1 at random."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, items)
    values = (random.normal(size=(items, 2)) + 5 * np.array([[0, 0], [1, 0], [0, 1]])[truth]).astype(
        np.float32
    )
    values -= values.mean(axis=0)
    worker = np.stack([random.permutation(6)[:each] for _ in range(answered)])
    chance = np.array([0, 1 / 3, 0.8, 0.85, 0.9, 0.95])[worker]
    right = random.random(worker.shape) < chance
    wrong = np.where(worker == 0, 1, random.integers(1, 3, worker.shape))
    label = (truth[:answered, None] + np.where(right, 0, wrong)) % 3
    answers = Answers(
        np.repeat(np.arange(answered), each),
        worker.ravel(),
        label.ravel(),
        [f"t{task}" for task in range(answered)],
        [f"w{one}" for one in range(6)],
        ["a", "b", "c"],
    )
    return Problem(values, answers, np.arange(answered), seed=seed, training=QUICK, width=16, folds=3), truth


def accuracy(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found.argmax(axis=1) == truth[: len(found)]).mean())
