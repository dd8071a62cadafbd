"""Who gets what next: online assignment of tasks to a worker."""

from __future__ import annotations

import numpy as np
from scipy.special import entr


def choose(
    strategy: str,
    posterior: np.ndarray,
    answered: np.ndarray,
    open_tasks: np.ndarray,
    confusion: np.ndarray,
    count: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Tasks for a worker, the best first, int64 (<= count,). Ties fall at random.

    Args:
        strategy: "qasca" (largest expected gain of max_j P_ij after this worker's answer: QASCA, SIGMOD 2015, for accuracy), "entropy"
            (least sure), "fewest" (answers) or "random".
        posterior: float64 (tasks, labels).
        answered: answers so far, int64 (tasks,).
        open_tasks: codes of those to choose from, int64 (n,).
        confusion: of the worker, float64 (labels true, labels given).
    """
    shuffled = generator.permutation(open_tasks)
    if strategy == "random":
        return shuffled[:count]
    belief = posterior[shuffled]
    if strategy == "qasca":
        after = (belief[:, :, None] * confusion[None]).max(axis=1).sum(axis=1)
        worth = after - belief.max(axis=1)
    elif strategy == "entropy":
        worth = entr(belief).sum(axis=1)
    else:
        worth = -answered[shuffled].astype(float)
    return shuffled[np.argsort(-worth, kind="stable")[:count]]
