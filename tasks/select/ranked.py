"""Strategies that know their whole order before anything is read: the baselines a bandit has to beat."""

from __future__ import annotations

import numpy as np

from tasks.select.arms import Armed, Arms, Pull, pulls_of

RANKED = ("random", "everything", "mean-similarity", "dsir", "nearest-cluster", "tsds")


class Ranked(Armed):
    """Reads documents in a fixed order, the highest score first.

    Args:
        labels: cluster of each document, (n,); for reporting, and as arms of the documents read.
        shuffled: all rows in a random order, which is that of rows of equal score.
        score: of each document, (n,).
    """

    def __init__(self, name: str, labels: np.ndarray, shuffled: np.ndarray, score: np.ndarray) -> None:
        super().__init__(name, Arms(labels, shuffled[np.argsort(-score[shuffled], kind="stable")]))
        self.score = score
        self._next = 0  # everything before it in the order is read; only saves time

    def choose(self, documents: int, per_pull: int) -> list[Pull]:
        rows: list[int] = []
        order, read = self.arms.order, self.arms.read
        position = self._next
        while len(rows) < documents and position < len(order):
            if not read[order[position]]:
                rows.append(int(order[position]))
            position += 1
        self._next = position
        self.arms.mark(rows)
        return pulls_of(
            np.asarray(rows, dtype=np.int64), self.arms.labels, self.score, np.zeros_like(self.score)
        )

    def restore(self, state: dict[str, object]) -> None:
        super().restore(state)
        self._next = 0


def similarity_to(reference: np.ndarray, vectors: np.ndarray, chunk: int = 65_536) -> np.ndarray:
    """Cosine of each vector (n, d) to the mean of the reference (m, d); vectors may be memory-mapped. Returns (n,)."""
    from threadpoolctl import threadpool_limits

    mean = reference.mean(axis=0, dtype=np.float64)
    mean = (mean / max(1e-12, float(np.linalg.norm(mean)))).astype(np.float32)
    with threadpool_limits(1):  # sums of floats differ with the number of threads
        parts = [vectors[start : start + chunk] @ mean for start in range(0, len(vectors), chunk)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def gumbel_scores(log_weights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Scores (n,) whose k highest are a sample without replacement, weights exp(log_weights), for every k.

    Independent Gumbel noise added to the log weights (Xie et al., arXiv 2302.03169, section 3).
    """
    return np.asarray(log_weights + random.gumbel(size=len(log_weights)))
