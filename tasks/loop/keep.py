"""Which of the pairs read so far are kept, decided anew after every round: the others were read and paid for in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.corpus.tokens import BYTES_PER_TOKEN, count_bytes
from tasks.loop.pulls import round_folder
from tasks.loop.settings import EqualSettings
from tasks.run.arrays import load_array, save_array
from tasks.run.seeds import integer
from tasks.run.tables import iterate_rows, read_column, read_json
from tasks.select.arms import Strategy
from tasks.select.bandit import BY_DOCUMENT
from tasks.select.keep import Kept, keep_nearest

KEPT = "kept.npy"
RATE = "stages/bytes-per-token.json"  # of the student, on the reference; absent where none is trained
_SHARE = 0.5  # by default, of a strategy that reads for the best pairs of a document
TOO_FAR = "the pairs that are kept serve the target better"
_TRIES = 4  # to fit what is kept into train_tokens; a few per cent above it remain at the worst


def chooses_pairs(settings: EqualSettings, strategy: str) -> bool:
    """Whether a strategy's pairs are kept by their distance; otherwise all are."""
    return settings.keep is not None or strategy in BY_DOCUMENT


def choose_pairs(run: Path, settings: EqualSettings, at: Path, number: int, strategy: Strategy) -> None:
    """Keep the pairs of rounds 0..number that lie nearest to the reference, and tell the strategy what documents gained.

    Writes kept.npy in the round's folder: a mark for every pair of rounds 0..number, in order.
    """
    if not chooses_pairs(settings, strategy.name):
        return
    vectors = np.concatenate([load_array(round_folder(at, n) / "vectors.npy") for n in range(number + 1)])
    reference = load_array(run / "stages/reference.npy")
    seed = integer(settings.seed, "keep")
    count = max(1, round((_SHARE if settings.keep is None else settings.keep) * len(vectors)))
    kept = keep_nearest(vectors, reference, count, seed=seed)
    if settings.train_tokens is not None:
        rate = read_json(run / RATE) if (run / RATE).exists() else BYTES_PER_TOKEN
        most = settings.train_tokens / settings.epochs * rate
        sizes = _bytes_of_pairs(at, number)
        # Near pairs are longer or shorter than the others, so what fits is found by trying.
        for _ in range(_TRIES):
            if count == 1 or sizes[kept.mask].sum() <= most:
                break
            count = max(1, int(count * most / sizes[kept.mask].sum()))
            kept = keep_nearest(vectors, reference, count, seed=seed)
    save_array(round_folder(at, number) / KEPT, kept.mask.astype(np.uint8))
    if strategy.name in BY_DOCUMENT:
        # What is learnt from is always one half against the other, or few documents would ever have gained anything.
        half = max(1, round(len(vectors) / 2))
        priced = kept if count == half else keep_nearest(vectors, reference, half, seed=seed)
        strategy.observe(*_gains(at, number, priced))


def newly_kept(at: Path, number: int) -> int | None:
    """Pairs that are kept after round `number` and were not after the one before; None where all are kept."""
    now = kept_mask(at, number)
    if now is None or number == 1:  # those of the warm-up are new in round 1
        return None if now is None else int(now.sum())
    before = kept_mask(at, number - 1)
    assert before is not None
    return int(now.sum() - (now[: len(before)] & before).sum())


def kept_mask(at: Path, number: int) -> np.ndarray | None:
    """Marks of the pairs of rounds 0..number that are kept after round `number`, (pairs,); None where all are."""
    path = round_folder(at, number) / KEPT
    return np.asarray(load_array(path)).astype(bool) if path.exists() else None


def _bytes_of_pairs(at: Path, number: int) -> np.ndarray:
    """UTF-8 bytes of each pair of rounds 0..number, (pairs,)."""
    return np.array(
        [
            count_bytes(row["question"]) + count_bytes(row["answer"])
            for n in range(number + 1)
            for row in iterate_rows(round_folder(at, n) / "extracted.parquet", ["question", "answer"])
        ],
        dtype=np.int64,
    )


def _gains(at: Path, number: int, priced: Kept) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the documents read in rounds 0..number, and the sum of their pairs' gains."""
    rows: list[int] = []
    gains: list[float] = []
    value: Iterator[float] = iter(priced.gain.tolist())
    for n in range(number + 1):
        reads = iterate_rows(round_folder(at, n) / "reads.parquet", ["row", "document_id"])
        place = {}
        for read in reads:
            place[read["document_id"]] = len(rows)
            rows.append(read["row"])
            gains.append(0.0)
        for document in read_column(round_folder(at, n) / "extracted.parquet", "document_id").tolist():
            gains[place[document]] += next(value)
    return np.array(rows, dtype=np.int64), np.array(gains)
