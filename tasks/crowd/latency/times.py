"""Recorded times: who began an answer when, and when he had finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.crowd.read import read_table
from tasks.records import Reject

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


def read_times(name: str, max_broken: float = 1.0) -> Times:
    """Times of a file with the columns worker, started, finished.

    Args:
        max_broken: share of the rows that may be unusable.

    Raises:
        BadInput: no row can be used, or more than `max_broken` cannot.
    """
    table = read_table(name, COLUMNS, "--times", max_broken=max_broken, unusable=_no_times)
    worker, begun, ended = table.columns
    started = seconds_of(begun)
    return Times(worker, started, seconds_of(ended) - started, table.rejected)


def _no_times(columns: list[list[str]]) -> dict[int, tuple[str, str]]:
    _, begun, ended = columns
    seconds = seconds_of(ended) - seconds_of(begun)
    found = {}
    for row in np.flatnonzero(~(seconds > 0)).tolist():
        said = f"{begun[row][:40]} to {ended[row][:40]}"
        if np.isnan(seconds[row]):
            found[row] = "no time", f"{said}; give seconds, or dates as 2026-03-01T12:00:00"
        else:
            found[row] = "does not end after it begins", f"{said}; are started and finished swapped?"
    return found


def seconds_of(texts: Sequence[str]) -> np.ndarray:
    """Seconds, float64 (n,), of numbers or of dates with a time of day (of no zone: UTC); nan of what is neither."""
    column = pd.Series(texts, dtype=object)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    dates = pd.to_datetime(column.where(np.isnan(numbers)), errors="coerce", utc=True, format="ISO8601")
    since = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float)
    found = np.where(np.isnan(numbers), since, numbers)
    return np.where(np.isfinite(found), found, np.nan)
