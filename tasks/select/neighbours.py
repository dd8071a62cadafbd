"""Quad's bandit (arXiv 2409.16986, section 4): clusters are arms, and what one visit shows is told to the clusters near by.

A visit scores a block of a cluster's documents. Its reward is their mean score less a threshold tau; every cluster within a
radius of it gains the same reward, the less the farther it is, and counts a visit. So many clusters are judged by few visits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.run import seeds

_ROWS = 4096  # centroids compared with all at a time


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Which clusters are near each other, as sparse rows.

    Args:
        offsets: int64 (k + 1,); the neighbours of cluster i are others[offsets[i]:offsets[i + 1]], itself among them.
        others: clusters.
        weights: 1 - distance / radius of each, in (0, 1]; 1 for the cluster itself.
    """

    offsets: np.ndarray
    others: np.ndarray
    weights: np.ndarray

    def of(self, cluster: int) -> tuple[np.ndarray, np.ndarray]:
        """The neighbours of a cluster, and their weights."""
        own = slice(self.offsets[cluster], self.offsets[cluster + 1])
        return self.others[own], self.weights[own]


def find_neighbours(centroids: np.ndarray, radius: float | None = None) -> Neighbours:
    """Neighbours among centroids.

    Args:
        centroids: unit rows (k, d).
        radius: cosine distance; by default the median distance of a centroid to its nearest other one, so that half of the
            clusters have a neighbour. The paper's 0.2 belongs to its encoder and its 10,000 clusters.
    """
    if radius is None:
        radius = _median_gap(centroids)
    counts, others, weights = [0], [], []
    for first in range(0, len(centroids), _ROWS):
        distances = np.clip(1 - centroids[first : first + _ROWS] @ centroids.T, 0.0, None)
        own = np.arange(len(distances))
        distances[own, first + own] = 0.0
        near = distances < radius
        near[own, first + own] = True
        rows, columns = np.nonzero(near)
        counts += np.bincount(rows, minlength=len(distances)).tolist()
        others.append(columns)
        weights.append(1 - distances[rows, columns] / radius if radius > 0 else np.ones(len(rows)))
    return Neighbours(
        np.cumsum(counts, dtype=np.int64),
        np.concatenate([np.zeros(0, np.int64), *others]),
        np.concatenate([np.zeros(0), *weights]),
    )


def _median_gap(centroids: np.ndarray) -> float:
    if len(centroids) < 2:
        return 0.0
    nearest = []
    for first in range(0, len(centroids), _ROWS):
        distances = 1 - centroids[first : first + _ROWS] @ centroids.T
        own = np.arange(len(distances))
        distances[own, first + own] = np.inf
        nearest.append(distances.min(axis=1))
    return max(0.0, float(np.median(np.concatenate(nearest))))


@dataclass(frozen=True, slots=True)
class Visit:
    """A cluster that is to be visited.

    Args:
        rows: its documents to score, in the order to read them.
        exploit, bonus: the two terms of the score it was chosen by; the bonus of a cluster that neither it nor a neighbour
            was visited is infinite.
    """

    cluster: int
    rows: np.ndarray
    exploit: float
    bonus: float


class NeighbourBandit:
    """Visits the clusters with the highest mean reward and bonus, each at most once in a round.

    CS_i = R_i / T_i + alpha sqrt(2 ln N / T_i) with R_i the sum of a cluster's rewards and those its neighbours told it, T_i
    how many they were, N all of them (the paper's section 4.2).

    Args:
        labels: cluster of each document, (n,); every cluster can be chosen, however small.
        neighbours: of the k clusters.
        alpha: weight of the bonus, in units of the score.
        seed: of the order of documents in a cluster, and among clusters with equal scores.
    """

    def __init__(self, labels: np.ndarray, neighbours: Neighbours, *, alpha: float, seed: int) -> None:
        self.labels, self.neighbours, self.alpha = np.asarray(labels), neighbours, alpha
        self.count = len(neighbours.offsets) - 1
        random = seeds.generator(seed, "quad")
        order = random.permutation(len(self.labels))
        self._ties = random.permutation(self.count)
        self._queue = order[np.argsort(self.labels[order], kind="stable")]
        self._start = np.searchsorted(self.labels[self._queue], np.arange(self.count + 1))
        self.taken = np.zeros(self.count, dtype=np.int64)  # documents that a visit had
        self.rewards, self.told = np.zeros(self.count), np.zeros(self.count, dtype=np.int64)
        self.visits = np.zeros(self.count, dtype=np.int64)
        self.scored, self.sums, self.squares = (np.zeros(self.count) for _ in range(3))

    @property
    def left(self) -> np.ndarray:
        """Documents of each cluster that no visit had, (k,)."""
        return self.sizes - self.taken

    def choose(self, clusters: int, block: int) -> list[Visit]:
        """The next visits, the best first, and their documents, which no later visit has.

        Args:
            clusters: at most; fewer only when fewer have documents left.
            block: documents of a visit; of a cluster that has fewer, all.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            exploit = np.where(self.told > 0, self.rewards / self.told, 0.0)
            bonus = self.alpha * np.sqrt(2 * math.log(max(1, int(self.told.sum()))) / self.told)
        bonus = np.where(self.told > 0, bonus, np.inf)
        score = np.where(self.left > 0, exploit + bonus, -np.inf)
        best = self._ties[np.argsort(-score[self._ties], kind="stable")][:clusters]
        visits = []
        for cluster in best.tolist():
            rows = self.next_rows(cluster, block)
            if len(rows):
                visits.append(Visit(cluster, rows, float(exploit[cluster]), float(bonus[cluster])))
        return visits

    def next_rows(self, cluster: int, documents: int) -> np.ndarray:
        """Further documents of a cluster, which no later visit has."""
        first = self._start[cluster] + self.taken[cluster]
        rows: np.ndarray = self._queue[first : min(first + documents, self._start[cluster + 1])]
        self.taken[cluster] += len(rows)
        return rows

    def observe(self, cluster: int, scores: np.ndarray, tau: float) -> float:
        """What a visit found. Returns its reward, the mean of the scores less tau."""
        reward = float(np.mean(scores)) - tau
        others, weights = self.neighbours.of(cluster)
        self.rewards[others] += reward * weights
        self.told[others] += 1
        self.visits[cluster] += 1
        self.scored[cluster] += len(scores)
        self.sums[cluster] += float(np.sum(scores))
        self.squares[cluster] += float(np.sum(np.square(scores)))
        return reward

    @property
    def sizes(self) -> np.ndarray:
        """Documents of each cluster, (k,)."""
        return np.diff(self._start)

    def size(self, cluster: int) -> int:
        """Documents of a cluster."""
        return int(self.sizes[cluster])

    def interval(self, cluster: int, confidence: float = 0.95) -> tuple[float, float]:
        """Bounds of a cluster's mean score, by all its documents scored so far."""
        return interval(
            self.scored[cluster],
            self.sums[cluster],
            self.squares[cluster],
            self.size(cluster),
            confidence,
        )

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-serialisable."""
        names = ("taken", "rewards", "told", "visits", "scored", "sums", "squares")
        return {
            "documents": len(self.labels),
            "clusters": self.count,
            **{name: getattr(self, name).tolist() for name in names},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state.

        Raises:
            BadInput: it is of other clusters.
        """
        if (state["documents"], state["clusters"]) != (len(self.labels), self.count):
            raise BadInput(
                f"saved bandit: made for {state['clusters']} clusters of {state['documents']} documents, here are "
                f"{self.count} of {len(self.labels)}; resume with the settings and corpus it was started with"
            )
        for name in ("taken", "told", "visits"):
            setattr(self, name, np.asarray(state[name], dtype=np.int64))
        for name in ("rewards", "scored", "sums", "squares"):
            setattr(self, name, np.asarray(state[name], dtype=float))


def interval(
    count: float, total: float, squares: float, population: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Bounds of the mean of a finite population, of which `count` were drawn at random without putting back.

    Student's t with the correction for a finite population; infinite for fewer than two, unless these are all.

    Args:
        total, squares: sums of the drawn values and of their squares.
    """
    mean = total / count
    if count >= population:
        return mean, mean
    if count < 2:
        return -math.inf, math.inf
    from scipy.stats import t

    variance = max(0.0, (squares - count * mean * mean) / (count - 1))
    error = math.sqrt(variance / count * (1 - count / population))
    width = float(t.ppf((1 + confidence) / 2, count - 1)) * error
    return mean - width, mean + width
