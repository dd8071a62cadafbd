"""Which epoch of plain training tells right labels from wrong ones best: the one to go on from.

A network first learns what is common, then single wrong labels by heart. By the counts of the whole first stage it is known how likely
each label is right; looking back, the best epoch predicts many of the right ones and few of the wrong ones (the difference of
the two shares is Youden's J). It needs no label that is known to be right, as Label Wave does not, and it finds an epoch where the number of
predictions that change has no minimum, or has one before anything is learnt; tests/bench/wrong_event.md has both side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def agreement(agree: np.ndarray, clean: np.ndarray) -> list[tuple[float, float]]:
    """Of each epoch, the share of the likely right labels that were predicted, and of the likely wrong ones.

    Args:
        agree: whether the prediction was the given label, bool (epochs, n).
        clean: P(clean) of the rows, (n,).
    """
    least = 1e-12  # where all are right or all are wrong
    right = agree @ clean / max(clean.sum(), least)
    wrong = agree @ (1 - clean) / max((1 - clean).sum(), least)
    return list(zip(right.tolist(), wrong.tolist(), strict=True))


def telling_epoch(shares: Sequence[tuple[float, float]]) -> int:
    """Place of the epoch at which the two shares are furthest apart, the first of several."""
    return int(np.argmax([right - wrong for right, wrong in shares]))
