"""What a student learns from a selection: every student of a cell and seed starts from the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.loop.students import example_pairs
from tasks.prepare.documents import CORPUS
from tasks.run.seeds import generator, integer
from tasks.storage.tables import iterate_rows, read_rows
from tests.bench import results
from tests.bench.cells import Cell, base_path, folder, settings
from tests.bench.selections import kept_path

Facts = dict[str, Any]
QA = list[tuple[str, str]]

# The kinds of student, besides the strategy whose pairs it saw.
ALONE = "student"  # the selection's pairs alone, `tokens` of them
MIXED = "student+reference"  # `tokens` as well, half from the selection and half from the reference
OWN_END = "one-epoch"  # all pairs of 'everything' once
KINDS = (ALONE, MIXED, OWN_END)


def make_base(out: Path, cell: Cell, seed: int) -> None:
    """The student of a cell and seed before any fine-tuning, pre-trained as the product does; and its score."""
    from tasks.train.student import make_student

    own = settings(cell, out)
    if not base_path(out, cell, seed).exists():
        make_student(
            base_path(out, cell, seed),
            (row["text"] for row in iterate_rows(folder(cell, out) / CORPUS, ["text"])),
            vocabulary=own.student_vocabulary,
            width=own.student_width,
            layers=own.student_layers,
            pretrain_tokens=own.pretrain_tokens,
            sequence_tokens=own.sequence_tokens,
            seed=integer(seed, "student"),
        )
    results.append(out, {**_key(cell, 0.0, "base", seed, ALONE), **fit(out, cell, seed, [], 0)})


def train_students(
    out: Path, cell: Cell, seed: int, wanted: Sequence[tuple[float, str, str]], tokens: int
) -> None:
    """Train and judge students of one base; `wanted` holds (budget, strategy, kind).

    The strategy "reference" is the target's reference part. Every kind but OWN_END reads `tokens`, so that a student of
    the reference alone is what students of a mixture compare with.
    """
    reference = _reference(out, cell)
    for budget, strategy, kind in wanted:
        pairs = reference if strategy == "reference" else kept(out, cell, budget, strategy, seed)
        budgeted = int(lengths(out, cell, seed, pairs).sum()) if kind == OWN_END else tokens
        if kind == MIXED:
            pairs = mixture(pairs, reference, tokens, seed, partial(lengths, out, cell, seed))
        row = fit(out, cell, seed, pairs, budgeted)
        results.append(out, {**_key(cell, budget, strategy, seed, kind), "pairs": len(pairs), **row})


def kept(out: Path, cell: Cell, budget: float, strategy: str, seed: int) -> QA:
    rows = read_rows(kept_path(out, cell, budget, strategy, seed), ["question", "answer"])
    return [(row["question"], row["answer"]) for row in rows]


def _reference(out: Path, cell: Cell) -> QA:
    return example_pairs(Target.load(folder(cell, out) / "target").reference)


def lengths(out: Path, cell: Cell, seed: int, pairs: QA) -> np.ndarray:
    """Tokens of each pair as the student reads it."""
    from transformers import AutoTokenizer

    from tasks.train.format import encode_pairs

    tokenizer = AutoTokenizer.from_pretrained(base_path(out, cell, seed))
    return encode_pairs(tokenizer, pairs, settings(cell, out).sequence_tokens).lengths


def mixture(selection: QA, reference: QA, tokens: int, seed: int, measure: Callable[[QA], np.ndarray]) -> QA:
    """Half of `tokens` from the selection and half from the reference, each drawn in passes of random order.

    Each half is filled up with its last pair; the training is cut at `tokens`.

    Args:
        measure: tokens of each pair.
    """
    drawn: QA = []
    for name, part, share in (
        ("selection", selection, tokens - tokens // 2),
        ("reference", reference, tokens // 2),
    ):
        if not part:
            continue
        sizes = measure(part)
        passes = -(-share // int(sizes.sum()))
        random = generator(seed, "bench", "mixture", name)
        order = np.concatenate([random.permutation(len(part)) for _ in range(passes)])
        drawn += [part[row] for row in order[: int(np.searchsorted(np.cumsum(sizes[order]), share)) + 1]]
    return drawn


def fit(out: Path, cell: Cell, seed: int, pairs: QA, tokens: int, test: QA | None = None) -> Facts:
    """Train a copy of the base for a number of tokens; its score on the whole test part."""
    from tasks.train.train import train_student
    from tasks.train.training import Training

    log = train_student(
        base_path(out, cell, seed),
        None,
        pairs,
        example_pairs(Target.load(folder(cell, out) / "target").test) if test is None else test,
        Training(
            tokens=tokens,
            sequence_tokens=settings(cell, out).sequence_tokens,
            seed=integer(seed, "train"),
        ),
    )
    return {**log, "seconds": round(log["seconds"], 3)}


def _key(cell: Cell, budget: float, strategy: str, seed: int, kind: str) -> Facts:
    return {
        "corpus": cell.corpus,
        "target": cell.target,
        "budget": budget,
        "strategy": strategy,
        "seed": seed,
        "kind": kind,
    }
