"""Recorded times: who began an answer when, and when he had finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.crowd.read import read_table
from tasks.records import BadInput, Reject

COLUMNS = ("worker", "started", "finished")


@dataclass(frozen=True, slots=True)
class Times:
    """Answers that can be used.

    Args:
        worker: of each, n names.
        started: seconds, float64 (n,), of no given origin.
        seconds: that it took, above 0, float64 (n,).
        rejected: the other rows.
    """

    worker: list[str]
    started: np.ndarray
    seconds: np.ndarray
    rejected: list[Reject]


def read_times(name: str) -> Times:
    """Times of a file with the columns worker, started, finished.

    Raises:
        BadInput: no row can be used.
    """
    table = read_table(name, COLUMNS, "--times")
    worker, begun, ended = table.columns
    started, finished = seconds_of(begun), seconds_of(ended)
    with np.errstate(invalid="ignore"):
        good = finished > started  # never of what is no time
    rejected = [
        Reject(
            "read times",
            "no time" if np.isnan(finished[row] - started[row]) else "does not end after it begins",
            table.place(row),
            f"{begun[row]} to {ended[row]}",
        )
        for row in np.flatnonzero(~good).tolist()
    ]
    if not good.any():
        raise BadInput(
            f"--times {name}: no row has a time: give started and finished in seconds or as dates, "
            f"as 2026-03-01T12:00:00 (found: {begun[0][:40]}, {ended[0][:40]})"
        )
    kept = np.flatnonzero(good)
    return Times(
        [worker[row] for row in kept.tolist()],
        started[kept],
        (finished - started)[kept],
        [*table.rejected, *rejected],
    )


def seconds_of(texts: Sequence[str]) -> np.ndarray:
    """Seconds, float64 (n,), of numbers or of dates with a time of day (of no zone: UTC); nan of what is neither."""
    column = pd.Series(texts, dtype=object)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    dates = pd.to_datetime(column.where(np.isnan(numbers)), errors="coerce", utc=True, format="ISO8601")
    since = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float)
    found = np.where(np.isnan(numbers), since, numbers)
    return np.where(np.isfinite(found), found, np.nan)
