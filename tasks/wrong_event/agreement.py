"""Which epoch of plain training tells right labels from wrong ones best: the one to go on from.

A network first learns what is common, then single wrong labels by heart. By the counts of the whole first stage it is known how likely
each label is right; looking back, the best epoch predicts the labels that are likely right and no others. It needs no label that
is known to be right, as Label Wave does not, and it finds an epoch where the number of predictions that change has no minimum, or has one
before anything is learnt; tests/bench/wrong_event.md has both side by side.
"""

from __future__ import annotations

import numpy as np


def agreement(agree: np.ndarray, clean: np.ndarray) -> list[tuple[float, float]]:
    """Of each epoch, the share of the likely right labels that were predicted, and of the likely wrong ones.

    Args:
        agree: share of a row's views whose prediction was the given label, (epochs, n).
        clean: P(clean) of the rows, (n,).
    """
    least = 1e-12  # where all are right or all are wrong
    right = agree @ clean / max(clean.sum(), least)
    wrong = agree @ (1 - clean) / max((1 - clean).sum(), least)
    return list(zip(right.tolist(), wrong.tolist(), strict=True))


def telling_epoch(agree: np.ndarray, clean: np.ndarray) -> int:
    """Place of the epoch that says the same of most labels as P(clean): right ones predicted and wrong ones not, in expectation.

    Every row counts alike: where few labels are wrong, the right ones have to be learnt first. (The difference of the two shares, by
    which few wrong labels weigh as much as all others, chose epochs at which next to nothing was learnt.)

    Args:
        agree, clean: as of `agreement`.
    """
    return int(np.argmax(agree @ (2 * clean - 1)))
