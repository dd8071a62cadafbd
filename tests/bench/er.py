"""The four entity-resolution benchmarks at hand, with the choices that BATCHER's authors made for each in their code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tasks.match.features import pair_features
from tasks.match.read import Pairs, Table, read_pairs, read_table, shared_attributes
from tests.bench.targets import SHARED

FOLDER = SHARED / "er"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A data set and the published figures for diversity + covering on it.

    Args:
        name: of its folder.
        attributes: that the authors compare and show.
        merged: they compare them as one string when they look for demonstrations (not when they batch).
        min_samples: of their DBSCAN.
        labels: demonstrations that their run labelled.
        tokens: input tokens of their run, in thousands.
        full, few: F1 of an earlier random forest on string similarities, with all training labels and with 40 random ones.
    """

    name: str
    attributes: tuple[str, ...]
    merged: bool
    min_samples: int
    labels: int
    tokens: float
    full: float
    few: float


BENCHMARKS = (
    Benchmark("beer", ("Beer_Name", "Brew_Factory_Name"), False, 1, 18, 11.0, 78.5, 83.6),
    Benchmark("itunes-amazon", ("Song_Name",), False, 1, 20, 10.3, 98.7, 94.5),
    Benchmark("amazon-google", ("title", "manufacturer"), True, 1, 29, 250.3, 61.4, 22.7),
    Benchmark("dblp-acm", ("title", "authors", "venue", "year"), True, 8, 40, 534.5, 98.2, 93.3),
)


@dataclass
class Data:
    """Tables and pairs of a benchmark: the pool of demonstrations is train and valid, the questions are test."""

    benchmark: Benchmark
    left: Table
    right: Table
    train: Pairs
    valid: Pairs
    questions: Pairs

    @cached_property
    def pool(self) -> Pairs:
        return joined(self.train, self.valid)

    @cached_property
    def shared(self) -> list[str]:
        return shared_attributes(self.left, self.right)

    def features(self, pairs: Pairs, merged: bool) -> np.ndarray:
        """By the authors' attributes."""
        return pair_features(self.left, self.right, pairs, self.benchmark.attributes, merged=merged)


def load(benchmark: Benchmark, folder: Path = FOLDER) -> Data | None:
    """The data, None if it is not on this machine."""
    place = folder / benchmark.name
    if not place.is_dir():
        return None
    left = read_table(str(place / "tableA.csv"))
    right = read_table(str(next(place.glob("tableB*.csv"))))
    train, valid, test = (
        read_pairs(str(place / f"{name}.csv"), left, right, labelled=True)
        for name in ("train", "valid", "test")
    )
    return Data(benchmark, left, right, train, valid, test)


def joined(*parts: Pairs) -> Pairs:
    """Labelled pairs of the same tables, one after the other."""
    return Pairs(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.labels for part in parts if part.labels is not None]),
    )


def filled(data: Data, pairs: Pairs, attributes: Sequence[str]) -> tuple[Table, Table, Pairs]:
    """What the authors' code does with missing values before it compares: tables with a row per pair, and their pairs.

    A missing value becomes those words of the other record's value that stand in this record's first attribute, from
    which they are taken out.
    """
    sides: list[list[dict[str, str]]] = [[], []]
    for rows in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        both = [
            {name: table.columns[name][row] for name in attributes}
            for table, row in zip((data.left, data.right), rows, strict=True)
        ]
        for name in attributes[1:]:
            for ours, theirs in (both, both[::-1]):
                if not ours[name] and theirs[name]:
                    _fill(ours, theirs[name], name, attributes[0])
        for side, record in zip(sides, both, strict=True):
            record[attributes[0]] = " ".join(record[attributes[0]].split())
            side.append(record)
    tables = [
        Table(name, [], {key: [record[key] for record in side] for key in attributes})
        for name, side in zip(("left", "right"), sides, strict=True)
    ]
    order = np.arange(len(pairs))
    return tables[0], tables[1], Pairs(order, order, pairs.labels)


def _fill(record: dict[str, str], value: str, name: str, main: str) -> None:
    words = []
    for word in value.split(" "):
        if len(word) > 2 and word in record[main]:
            record[main] = record[main].replace(word, "")
            words.append(word)
    record[name] = " ".join(words)
