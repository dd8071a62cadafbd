"""How good decisions are: precision, recall, F1, and which pairs were decided wrongly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Score:
    """Decisions beside the truth, over n pairs.

    Args:
        precision: share of the decided matches that are matches; 0 if none was decided.
        recall: share of the matches that were decided so; 0 if there are none.
        f1: their harmonic mean; 0 if both are 0.
        false_matches, missed_matches: rows of the pairs decided wrongly, int64.
    """

    precision: float
    recall: float
    f1: float
    false_matches: np.ndarray
    missed_matches: np.ndarray


def score(decisions: np.ndarray, truth: np.ndarray) -> Score:
    """Scores the decisions about n pairs.

    Args:
        decisions: 1 for a match, else 0, (n,).
        truth: the same, (n,).

    Raises:
        ValueError: their lengths differ.
    """
    decided, true = np.asarray(decisions, dtype=bool), np.asarray(truth, dtype=bool)
    if decided.shape != true.shape:
        raise ValueError(f"{len(decided)} decisions about {len(true)} pairs")
    right = int((decided & true).sum())
    return Score(
        precision=right / max(1, int(decided.sum())),
        recall=right / max(1, int(true.sum())),
        f1=2 * right / max(1, int(decided.sum()) + int(true.sum())),
        false_matches=np.flatnonzero(decided & ~true),
        missed_matches=np.flatnonzero(~decided & true),
    )
