"""DSIR's weights against a slow implementation that spells the formula out."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

from tasks.select.dsir import importance
from tasks.storage.tables import CORPUS, write_table

BUCKETS = 64
TEXTS = [
    "Solve 2 x + 3 = 7 for x.",
    "Solve the equation; x = 2!",
    "Fry the onion in butter, then add the onion.",
    "",
    "SOLVE solve Solve",
]
TARGET = ["Solve x + 1 = 2.", "What is x?"]


def buckets(text: str) -> Counter[int]:
    words = re.findall(r"\w+|[^\w\s]+", text.lower())
    grams = words + [f"{left} {right}" for left, right in pairwise(words)]
    return Counter(abs(murmurhash3_32(gram, seed=0)) % BUCKETS for gram in grams)


def literal() -> list[float]:
    corpus, target = Counter[int](), Counter[int]()
    for text in TEXTS:
        corpus += buckets(text)
    for text in TARGET:
        target += buckets(text)
    weights = []
    for text in TEXTS:
        total = 0.0
        for bucket, count in buckets(text).items():
            in_target = target[bucket] / sum(target.values())
            in_corpus = corpus[bucket] / sum(corpus.values())
            total += count * (math.log(in_target + 1e-8) - math.log(in_corpus + 1e-8))
        weights.append(total * 255 / max(1, sum(buckets(text).values())))
    return weights


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_weights_are_the_literal_formulas_however_the_table_is_cut(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "documents.parquet"
    write_table(path, ({"id": str(i), "text": text} for i, text in enumerate(TEXTS)), CORPUS)
    found = importance(path, TARGET, buckets=BUCKETS, rows_per_partition=rows)
    assert found == pytest.approx(literal(), abs=1e-6)
    assert found.argmin() == 2


def test_a_large_corpus_is_counted_on_a_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "documents.parquet"
    write_table(path, ({"id": str(i), "text": TEXTS[i % 2]} for i in range(40)), CORPUS)
    exact = importance(path, TARGET, rows_per_partition=2)
    # Every partition holds the same two texts, so a tenth of them gives the same shares; a skewed part does not.
    assert importance(path, TARGET, rows_per_partition=2, fit_documents=4) == pytest.approx(exact)
    assert importance(path, TARGET, rows_per_partition=1, fit_documents=20) != pytest.approx(exact)


def test_an_empty_table_has_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "documents.parquet"
    write_table(path, [], CORPUS)
    assert importance(path, TARGET).tolist() == np.zeros(0).tolist()
