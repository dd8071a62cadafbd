"""Which of the pairs read so far are kept, decided anew after every round: the others were read and paid for in vain.

Two views of a pair meet here. Transport says whether it is about what the reference is about, and sees to it that every
part of the reference is served; the student says how much it would learn from it. Of the half that transport prefers,
those are kept from which the student learns the most. Where more than half are to stay, transport alone leaves some out.

How many is tried, unless it is given: a student is trained on so many of the best, on twice as many, and so on as long as that
lowers its loss on the reference. A share that is right for a small corpus is far too much of a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.loop.pulls import extracted_pairs, round_folder
from tasks.loop.settings import EqualSettings
from tasks.run.seeds import integer
from tasks.select.arms import Strategy
from tasks.select.bandit import BY_DOCUMENT
from tasks.select.keep import Kept, keep_nearest
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import iterate_rows, read_column, read_json, write_json

# Loss reductions (n,) and lengths in tokens (n,) of n pairs, as the student sees them.
Reductions = Callable[[list[tuple[str, str]]], tuple[np.ndarray, np.ndarray]]

# Losses of the student on the reference after trainings on lists of pairs.
Losses = Callable[[list[list[tuple[str, str]]]], list[float]]

KEPT = "kept.npy"
AMOUNT = "amount.json"  # beside it in the rounds in which it was tried how many to keep
JUDGED = "judged.npy"  # beside it in the last round, of a run with judges
CLEAN = "clean.npy"  # and of a run that was cleaned
P_GOOD = "p_good.npy"  # what they think of every pair of all rounds; nan of those they were not asked about
MARKS = (KEPT, JUDGED, CLEAN)
REDUCTIONS = "reductions.npy"  # loss reduction and tokens of every pair so far; nan where nobody had to know
KEEP = 0.25  # of a strategy that reads for the best pairs of a document, until or unless it is tried how many
_FEWEST = 32  # pairs that are tried first
SERVES_LESS = "the pairs that are kept serve the target better"
LIKELY_WRONG = "its answer is likely wrong"
NOT_GOOD = "the judges do not find it good"


def chooses_pairs(settings: EqualSettings, strategy: str) -> bool:
    """Whether a strategy's pairs are chosen among; otherwise all are kept."""
    return settings.keep is not None or strategy in BY_DOCUMENT


def choose_pairs(
    run: Path,
    settings: EqualSettings,
    at: Path,
    number: int,
    strategy: Strategy,
    reductions: Reductions | None = None,
    gain: np.ndarray | None = None,
    losses: Losses | None = None,
) -> list[str]:
    """Keep the pairs of rounds 0..number that serve the reference best, and tell the strategy what documents gained.

    Writes kept.npy in the round's folder: a mark for every pair of rounds 0..number, in order.

    Args:
        at: the run's folder, or that of a strategy it is compared with.
        reductions: asks the student; without one the nearest pairs are kept.
        gain: what the strategy is told of each pair of rounds 0..number, (n,); by default what it saves of the transport cost.
        losses: tries how many to keep; without it the share of the round in which that was last tried is kept, KEEP if it never was.

    Returns:
        Names of the files it wrote in the round's folder.
    """
    if not chooses_pairs(settings, strategy.name):
        return []
    here = round_folder(at, number)
    vectors = np.concatenate([load_array(round_folder(at, n) / "vectors.npy") for n in range(number + 1)])
    reference, seed = load_array(run / "stages/reference.npy"), integer(settings.seed, "keep")

    @cache
    def nearest(count: int) -> Kept:
        return keep_nearest(vectors, reference, count, seed=seed)

    half = max(1, round(len(vectors) / 2))
    share = _tried_share(at, number) if settings.keep is None else settings.keep
    count = max(1, round((KEEP if share is None else share) * len(vectors)))
    files = [KEPT]
    if reductions is None:
        mask = nearest(count).mask
    else:
        most = None if settings.train_tokens is None else settings.train_tokens / settings.epochs
        if settings.keep is None and most is not None:
            count = half  # and of these what fits
        rows = np.flatnonzero(nearest(max(half, count)).mask)
        known = _ask(at, number, rows, len(vectors), reductions)
        save_array(here / REDUCTIONS, known)
        files.append(REDUCTIONS)
        if losses is not None and len(rows):
            order = most_reduced(rows, known[rows, 0], known[rows, 1], len(rows), None)
            count = _try_amounts(at, number, order, len(vectors), losses)
            files.append(AMOUNT)
        mask = np.zeros(len(vectors), dtype=bool)
        mask[most_reduced(rows, known[rows, 0], known[rows, 1], count, most)] = True
    save_array(here / KEPT, mask.astype(np.uint8))
    if strategy.name in BY_DOCUMENT:
        # One half against the other, whatever is kept, or few documents would ever have gained anything.
        strategy.observe(*_gains(at, number, nearest(half).gain if gain is None else gain))
    return files


def most_reduced(
    rows: np.ndarray, reductions: np.ndarray, lengths: np.ndarray, count: int, most: float | None
) -> np.ndarray:
    """Of `rows` those with the largest reductions: at most `count`, and at most `most` tokens, but one at least."""
    order = np.argsort(-reductions, kind="stable")[:count]
    if most is not None:
        order = order[: max(1, int(np.searchsorted(np.cumsum(lengths[order]), most, side="right")))]
    return rows[order]


def best_amount(loss_of: Callable[[list[int]], list[float]], start: int, most: int) -> dict[int, float]:
    """Search how many of the best pairs to train on: from `start` on doubled as long as the loss falls, else halved.

    Args:
        loss_of: losses after training on so many.
        start: 1 to `most`.

    Returns:
        The loss of every amount that was tried.
    """

    def more(amount: int) -> int:
        return most if 2.5 * amount > most else 2 * amount  # the last step is no short one

    amounts = list(dict.fromkeys([start, more(start)]))
    found = dict(zip(amounts, loss_of(amounts), strict=True))
    best = min(found, key=lambda amount: found[amount])
    up = best > start
    while (new := more(best) if up else best // 2) not in found and new:
        found.update(zip([new], loss_of([new]), strict=True))
        if not found[new] < found[best]:
            break
        best = new
    return found


def tried_amounts(at: Path, last: int) -> list[dict[str, Any]]:
    """What was tried in rounds 0..last: round, pairs to choose from, pairs kept, and tried: pairs trained on, and the loss then."""
    paths = [(number, round_folder(at, number) / AMOUNT) for number in range(last + 1)]
    return [{"round": number, **read_json(path)} for number, path in paths if path.exists()]


def told(amount: Mapping[str, Any]) -> str:
    """One of `tried_amounts` in a line."""
    amounts = ", ".join(f"{one['pairs']:,}" for one in amount["tried"])
    losses = ", ".join(f"{one['loss']:.3f}" for one in amount["tried"])
    return (
        f"the best {amount['kept']:,} of {amount['pairs']:,} pairs are kept: "
        f"the student's loss on the reference after training on {amounts} is {losses}"
    )


def _try_amounts(at: Path, number: int, order: np.ndarray, total: int, losses: Losses) -> int:
    """How many of the pairs in `order`, of `total`, are to be kept, by what students learn from them; written to AMOUNT."""
    pairs = list(extracted_pairs(at, 0, number))
    share = _tried_share(at, number)
    start = _FEWEST if share is None else max(1, round(share * total))
    found = best_amount(
        lambda amounts: losses([[pairs[row] for row in order[:amount]] for amount in amounts]),
        min(start, len(order)),
        len(order),
    )
    best = min(found, key=lambda amount: found[amount])
    tried = [{"pairs": amount, "loss": found[amount]} for amount in sorted(found)]
    write_json(round_folder(at, number) / AMOUNT, {"pairs": total, "kept": best, "tried": tried})
    return best


def _tried_share(at: Path, number: int) -> float | None:
    """Of the pairs so far, what the last trial before a round kept; None where there was none."""
    before = tried_amounts(at, number - 1)
    return before[-1]["kept"] / before[-1]["pairs"] if before else None


def newly_kept(at: Path, number: int) -> int | None:
    """Pairs that are kept after round `number` and were not after the one before; None where all are kept."""
    now = kept_mask(at, number)
    if now is None or number == 1:  # those of the warm-up are new in round 1
        return None if now is None else int(now.sum())
    before = kept_mask(at, number - 1)
    assert before is not None
    return int(now.sum() - (now[: len(before)] & before).sum())


def kept_mask(at: Path, number: int, marks: Sequence[str] = MARKS) -> np.ndarray | None:
    """Marks of the pairs of rounds 0..number that are kept after round `number`, (pairs,); None where all are.

    Args:
        marks: files of marks that count, of MARKS; later ones leave out of what earlier ones kept.
    """
    paths = [path for name in marks if (path := round_folder(at, number) / name).exists()]
    if not paths:
        return None
    kept: np.ndarray = np.all([np.asarray(load_array(path)).astype(bool) for path in paths], axis=0)
    return kept


def known_reductions(at: Path, number: int) -> np.ndarray | None:
    """Loss reductions of the pairs of rounds 0..number, nan of those nobody asked about, (pairs,); None without a student."""
    path = round_folder(at, number) / REDUCTIONS
    return np.asarray(load_array(path))[:, 0] if path.exists() else None


def _ask(at: Path, number: int, rows: np.ndarray, total: int, reductions: Reductions) -> np.ndarray:
    """Loss reduction and length of the pairs in `rows` of rounds 0..number, those of earlier rounds as they were found then.

    Returns:
        (total, 2), nan in rows that nobody asked for.
    """
    known = np.full((total, 2), np.nan)
    if number and (before := round_folder(at, number - 1) / REDUCTIONS).exists():
        earlier = load_array(before)
        known[: len(earlier)] = earlier
    missing = set(rows[np.isnan(known[rows, 0])].tolist())
    if not missing:
        return known
    pairs = [pair for place, pair in enumerate(extracted_pairs(at, 0, number)) if place in missing]
    known[sorted(missing)] = np.column_stack(reductions(pairs))
    return known


def _gains(at: Path, number: int, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the documents read in rounds 0..number, and the sum of their pairs' gains (n,)."""
    rows: list[int] = []
    gains: list[float] = []
    value: Iterator[float] = iter(gain.tolist())
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
