"""Which pairs a scorer decides itself, and which are worth asking a language model or people about.

The band of probabilities in which it does not decide is chosen from a labelled sample as a risk-controlling prediction set
(Bates et al., Journal of the ACM, 2021): errors grow with what is decided, so the widest decision whose upper confidence
bound stays below the error allowed keeps to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tasks.records import BadInput

ERROR, CONFIDENCE = 0.05, 0.9


@dataclass(frozen=True, slots=True)
class Band:
    """Where the matcher is unsure.

    Args:
        low: up to here it says no match; below 0 if it never does.
        high: from here on it says match; above 1 if it never does.
        wanted: labels that the smallest promise would have needed; where the sample has fewer, all is asked.
    """

    low: float
    high: float
    wanted: int

    def decisions(self, probabilities: np.ndarray) -> np.ndarray:
        """1 for a match, 0 for none, -1 for ask; int8 (n,)."""
        decided = np.full(len(probabilities), -1, dtype=np.int8)
        decided[probabilities <= self.low] = 0
        decided[probabilities >= self.high] = 1
        return decided

    def to_ask(self, probabilities: np.ndarray) -> np.ndarray:
        """Rows of the pairs to ask about, the most unsure first, int64."""
        rows = np.flatnonzero(self.decisions(probabilities) == -1)
        return rows[np.argsort(np.abs(probabilities[rows] - 0.5), kind="stable")]


def choose_band(
    probabilities: np.ndarray, labels: np.ndarray, *, error: float = ERROR, confidence: float = CONFIDENCE
) -> Band:
    """The narrowest band to ask about that keeps the matcher's own errors in bounds.

    Guarantee: with the given confidence over the draw of the sample, at most `error` of all pairs are decided by the matcher
    and wrongly so: at most half of that as no match, and half as match. It holds if the sample is drawn at random from
    the pairs that are to be decided, and had no part in fitting the matcher; demonstrations chosen by a cover are no
    such sample. It says nothing about the pairs that are asked.

    Args:
        probabilities: the matcher's, of the labelled sample, (n,).
        labels: 1 for a match, else 0, (n,).
        error: share of all pairs, above 0 and below 1.
        confidence: above 0 and below 1.

    Raises:
        BadInput: error or confidence out of bounds, or not one label per pair.
    """
    if not 0 < error < 1 or not 0 < confidence < 1:
        raise BadInput(
            f"routing with error {error} and confidence {confidence}: give both above 0 and below 1"
        )
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if probabilities.shape != labels.shape:
        raise BadInput(
            f"routing: {labels.size} labels for {probabilities.size} pairs; give every pair one label"
        )
    share, doubt = error / 2, (1 - confidence) / 2
    wanted = math.ceil(math.log(doubt) / math.log(1 - share))
    allowed = _errors_allowed(len(labels), share, doubt)
    if allowed < 0:
        return Band(-1.0, 2.0, wanted)
    low = _reach(probabilities[labels == 1], allowed)
    high = -_reach(-probabilities[labels == 0], allowed)
    if low >= high:  # no pair needs to be asked about: any cut between the two keeps both promises
        cut = min(max(0.5, high), low)
        return Band(float(np.nextafter(cut, -1.0)), cut, wanted)
    return Band(low, high, wanted)


def _errors_allowed(count: int, share: float, doubt: float) -> int:
    """The most errors in a sample whose upper confidence bound (Clopper-Pearson) is at most `share`; -1 if none is."""
    from scipy.stats import beta

    errors = np.arange(count)
    bounds = beta.ppf(1 - doubt, errors + 1, count - errors)
    return int((bounds <= share).sum()) - 1


def _reach(wrong: np.ndarray, allowed: int) -> float:
    """The largest value that at most `allowed` of these do not exceed; infinite if all of them may be below it."""
    if len(wrong) <= allowed:
        return math.inf
    return float(np.nextafter(np.sort(wrong)[allowed], -math.inf))
