"""Pairs whose answer is likely wrong, left out before the student is trained on the rest (`--clean wrong-event`)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.loop.keep import CLEAN, JUDGED, KEPT, LIKELY_WRONG, kept_mask
from tasks.loop.pulls import extracted_pairs, round_folder
from tasks.loop.settings import EqualSettings
from tasks.loop.students import on_worker, training_of, where
from tasks.run import terminal
from tasks.storage.arrays import save_array
from tasks.storage.tables import iterate_rows, write_table
from tasks.wrong_event.settings import FEWEST_PAIRS, PAIR_EPOCHS

Facts = dict[str, Any]

TABLE = "wrong_events.parquet"
DOUBTED = 0.5  # P(clean) below which a pair is left out
_CHECKPOINT = "students/.count"
_SCHEMA = pa.schema([("id", pa.string()), ("p_clean", pa.float64()), ("wrong_events", pa.int32())])


@on_worker
def clean(run: Path, settings: EqualSettings, rounds: int, student: Facts, rewarded: Facts) -> Facts:
    """Train the student before any training on the pairs that are kept, count their wrong events, and mark the doubtful.

    Writes clean.npy in the last round's folder: a mark for every pair of all rounds, in order; and P(clean) of those kept. Where
    too few are kept none is looked at, and none is marked.
    """
    from tasks.train.checkpoint import load_student
    from tasks.wrong_event.pairs import count_events

    here = round_folder(run, rounds)
    pairs = list(extracted_pairs(run, 0, rounds))
    mask = kept_mask(run, rounds, (KEPT, JUDGED))
    rows = np.arange(len(pairs)) if mask is None else np.flatnonzero(mask)
    kept = len(rows)
    rows = rows if kept >= FEWEST_PAIRS else rows[:0]
    clean, events = np.ones(len(rows)), np.zeros(len(rows), np.int64)
    if len(rows):
        model, tokenizer = load_student(
            where(run, student["student"]), lora=settings.lora, seed=settings.seed
        )
        found = count_events(
            model,
            tokenizer,
            [pairs[row] for row in rows],
            training_of(settings, None),
            epochs=PAIR_EPOCHS,
            kept=run / _CHECKPOINT,
            told=lambda done, of: terminal.current().progress("count wrong events, epoch", done),
        )
        clean, events = found.model().clean(found.counts), found.counts
        shutil.rmtree(run / _CHECKPOINT)
    marks = np.ones(len(pairs), np.uint8)
    marks[rows[clean < DOUBTED]] = 0
    save_array(here / CLEAN, marks)
    ids = _ids(run, rounds)
    write_table(
        run / TABLE,
        (
            {"id": ids[row], "p_clean": p, "wrong_events": count}
            for row, p, count in zip(rows.tolist(), clean.tolist(), events.tolist(), strict=True)
        ),
        _SCHEMA,
    )
    return {
        "files": [str((here / CLEAN).relative_to(run)), TABLE],
        "kept": kept,
        "looked_at": len(rows),
        "doubted": int((clean < DOUBTED).sum()),
    }


def said(cleaned: Facts) -> str:
    """What became of the pairs, on one line."""
    if not cleaned["looked_at"]:
        return f"pairs are not cleaned: {cleaned['kept']:,} are kept, and {FEWEST_PAIRS} at least can be compared"
    return f"{cleaned['doubted']:,} of {cleaned['looked_at']:,} pairs are left out: {LIKELY_WRONG}"


def _ids(run: Path, rounds: int) -> list[str]:
    return [
        row["id"]
        for number in range(rounds + 1)
        for row in iterate_rows(round_folder(run, number) / "pairs.parquet", ["id"])
    ]
