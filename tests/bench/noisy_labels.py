"""Data with right labels, and ways to make some of them wrong: what the bench of wrong events is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from tasks.run.seeds import generator
from tests.bench.targets import MIXED

TEXTS = 1500
NOISES = ("sym 20", "sym 40", "sym 60", "asym 40", "inst 40")


@dataclass(frozen=True, slots=True)
class Split:
    """Vectors with mean 0 over the training rows, and right labels."""

    train: torch.Tensor
    test: torch.Tensor
    labels: np.ndarray
    test_labels: np.ndarray
    classes: int
    batch: int


@dataclass(frozen=True, slots=True)
class Task:
    """A split whose training labels are partly wrong."""

    split: Split
    given: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        return self.given != self.split.labels


def digits() -> Split:
    """scikit-learn's 1,797 images of 8 x 8; a third of them judges."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    return split((values / 16).astype(np.float32), labels.astype(np.int64), 64)


def corpus() -> Split:
    """1,500 documents of the shared mixture, by source; a third of them judges. LSA is fitted on all of them."""
    vectors, labels = documents()
    return split(vectors, labels, 128)


DATA: dict[str, Callable[[], Split]] = {"digits": digits, "corpus": corpus}


def available(name: str) -> bool:
    return name != "corpus" or MIXED.exists()


@cache
def documents(number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and sources of 1,500 documents; those of another number are others."""
    import gzip
    import json

    from tasks.select.lsa import LSAEncoder

    with gzip.open(MIXED, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = generator(0, "bench", "wrong event").permutation(len(rows))[
        TEXTS * number : TEXTS * (number + 1)
    ]
    texts = [rows[row]["text"] for row in chosen]
    vectors = LSAEncoder.fit(texts, 256, 0).encode(texts)
    return vectors, np.unique([rows[row]["source"] for row in chosen], return_inverse=True)[1]


def split(values: np.ndarray, labels: np.ndarray, batch: int) -> Split:
    """The same test part whatever the seed, so that no choice made on training rows has seen one of it."""
    order = generator(0, "split").permutation(len(values))
    train, test = np.split(order, [2 * len(values) // 3])
    mean = values[train].mean(axis=0)
    scale = values[train].std()
    near, far = (
        torch.from_numpy(((values[rows] - mean) / scale).astype(np.float32)) for rows in (train, test)
    )
    return Split(near, far, labels[train], labels[test], int(labels.max()) + 1, batch)


def with_validation(split: Split, seed: int) -> Split:
    """A quarter of the training rows in place of the test part, which is then out of reach."""
    order = generator(seed, "validation").permutation(len(split.labels))
    train, held = np.split(order, [3 * len(order) // 4])
    return Split(
        split.train[train],
        split.train[held],
        split.labels[train],
        split.labels[held],
        split.classes,
        split.batch,
    )


def made_wrong(split: Split, noise: str, seed: int) -> Task:
    """Labels of the training rows with some wrong ones.

    sym R: with a chance of R % another class, each as likely. asym R: with that chance the next class. inst R: by Xia et al.
    (NeurIPS 2020), a chance for each row (normal around R %, deviation 10 %, cut to 0..1) and other classes by a random linear
    map of the row, one map for each right class.
    """
    kind, rate = noise.split()
    share, random = int(rate) / 100, generator(seed, noise)
    labels, classes = split.labels, split.classes
    if kind == "inst":
        return Task(split, _by_instance(split, share, random))
    flips = random.random(len(labels)) < share
    if kind == "sym":
        other = (labels + random.integers(1, classes, len(labels))) % classes
    else:
        other = (labels + 1) % classes
    return Task(split, np.where(flips, other, labels))


def _by_instance(split: Split, share: float, random: np.random.Generator) -> np.ndarray:
    from scipy.stats import truncnorm

    values, labels, classes = split.train.numpy(), split.labels, split.classes
    chances = truncnorm.rvs(-share / 0.1, (1 - share) / 0.1, share, 0.1, len(labels), random_state=random)
    maps = random.normal(size=(classes, values.shape[1], classes))
    given = labels.copy()
    for row, (value, label, chance) in enumerate(zip(values, labels, chances, strict=True)):
        pull = value @ maps[label]
        pull[label] = -np.inf
        odds = np.exp(pull - pull.max())
        odds = chance * odds / odds.sum()
        odds[label] = 1 - chance
        given[row] = random.choice(classes, p=odds / odds.sum())
    return given
