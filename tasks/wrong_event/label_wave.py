"""When to stop learning from wrong labels (Label Wave: Yuan, Feng & Liu, ICLR 2024, arXiv 2502.07551).

While a network learns what is common, its predictions on the training rows settle; when it begins to learn single wrong
labels by heart, they move again. The first local minimum of the number that changes from one epoch to the next is where to stop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def first_minimum(changes: Sequence[int], window: int = 1) -> int | None:
    """Place of the first local minimum of a series, None while there is none.

    A minimum is a value not above the one before it and below the one after it; the first value is none.

    Args:
        changes: predictions that changed, one count an epoch, as far as they are known.
        window: counts averaged, the last of which gives its place to the mean; 1 takes them as they are.
    """
    if len(changes) < window + 2:
        return None
    means = np.convolve(np.asarray(changes, dtype=float), np.ones(window) / window, mode="valid")
    falls = means[1:-1] <= means[:-2]
    rises = means[1:-1] < means[2:]
    places = np.flatnonzero(falls & rises)
    return int(places[0]) + window if len(places) else None
