"""LinUCB over documents: what reading some of them gave says what the others would give.

Every document is an arm with features (Li et al., A contextual-bandit approach, WWW 2010, algorithm 1): two scores that are
free to know, its similarity to the reference and its importance weight, and its vector. The reward of a document is what
it gave: in EQUAL what its pairs save of the transport cost between the nearest half of all pairs and the reference
(`tasks.select.keep`), so that a document that gives none, or many that others have given better, is worth nothing however
near it looks; or its influence. One Bayesian linear regression over all documents foretells it; how far free scores, vectors and noise are to be trusted is decided by
the evidence (MacKay, 1992), anew in every round. Nothing has to be read at random before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tasks.select.arms import Armed, Arms, Pull, pulls_of

WIDTH = 1.0  # of the upper confidence bound, in standard deviations of the posterior
_CHUNK = 16_384
# Prior standard deviations that are tried, of a standardised reward: per free score, and of what the vector says.
_FREE, _VECTOR = (0.3, 1.0), (0.3, 1.0, 2.0)
_NOISE = (0.1, 0.3, 0.6, 1.0)  # variances


@dataclass(frozen=True, slots=True)
class Posterior:
    """Of the weights of a linear regression.

    Args:
        mean: (d,).
        covariance: (d, d).
        evidence: log marginal likelihood of what it was fitted on, without constants.
    """

    mean: np.ndarray
    covariance: np.ndarray
    evidence: float

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the regression's value at features (n, d), noise left out; (n,) each."""
        variance = np.einsum("nd,nd->n", features @ self.covariance, features)
        return features @ self.mean, np.sqrt(np.maximum(variance, 0.0))


def regress(features: np.ndarray, values: np.ndarray, scales: Sequence[np.ndarray]) -> Posterior:
    """Bayesian linear regression whose prior and noise are the likeliest of those tried.

    Args:
        features: (n, d).
        values: (n,), standardised.
        scales: prior standard deviations of the weights, (d,) each, to choose from.
    """
    gram, projected = features.T @ features, features.T @ values
    best: Posterior | None = None
    for scale in scales:
        # In weights of prior variance 1, whose posterior shares its eigenvectors for all noises.
        eigenvalues, vectors = np.linalg.eigh(gram * np.outer(scale, scale))
        eigenvalues = np.maximum(eigenvalues, 0.0)
        turned = vectors.T @ (scale * projected)
        for noise in _NOISE:
            total = eigenvalues + noise
            fit = (values @ values - np.sum(turned**2 / total)) / noise
            size = np.sum(np.log(total / noise)) + len(values) * np.log(noise)
            evidence = float(-0.5 * (fit + size))
            if best is None or evidence > best.evidence:
                spread = scale[:, None] * vectors
                best = Posterior(spread @ (turned / total), (spread * (noise / total)) @ spread.T, evidence)
    assert best is not None
    return best


class LinUCB(Armed):
    """Reads the documents with the largest upper confidence bound of their reward.

    Before anything is known of rewards, those with the highest sum of the free scores.

    Args:
        arms: clusters, for reporting; `order` decides between documents of equal score.
        free: standardised scores that are free to know, larger is better, (n, f).
        vectors: of the documents, (n, d); may be memory-mapped.
    """

    def __init__(self, name: str, arms: Arms, free: np.ndarray, vectors: np.ndarray) -> None:
        super().__init__(name, arms)
        self._free, self._vectors = free, vectors
        self._rows, self._gains = np.zeros(0, dtype=np.int64), np.zeros(0)

    def observe(self, rows: np.ndarray, gains: np.ndarray) -> None:
        self._rows, self._gains = np.asarray(rows, dtype=np.int64), np.asarray(gains, dtype=float)

    def choose(self, documents: int, per_pull: int) -> list[Pull]:
        mean, bonus = self._bound()
        unread = self.arms.order[~self.arms.read[self.arms.order]]
        rows = unread[np.argsort(-(mean + bonus)[unread], kind="stable")[:documents]]
        self.arms.mark(rows)
        return pulls_of(rows, self.arms.labels, mean, bonus)

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean reward of each arm's documents, read or not, and its standard deviation by the posterior, (k,) each.

        An arm's mean is linear in its documents' features, so it is what the regression says at their mean.
        """
        fit = self._fit()
        if fit is None:
            return np.full(self.arms.count, self._offset()), np.zeros(self.arms.count)
        posterior, features, spread = fit
        labels = self.arms.labels
        sums: np.ndarray | float = 0.0
        for piece in self._pieces():
            own = features(piece)
            total = np.zeros((self.arms.count, own.shape[1]))
            np.add.at(total, labels[piece], own)
            sums = sums + total
        sizes = np.bincount(labels, minlength=self.arms.count)
        mean, deviation = posterior.predict(np.asarray(sums) / np.maximum(1, sizes)[:, None])
        return self._offset() + spread * mean, spread * deviation

    def _bound(self) -> tuple[np.ndarray, np.ndarray]:
        """Expected reward of each document and what not knowing it adds, (n,) each."""
        fit = self._fit()
        if fit is None:
            return self._free.sum(axis=1), np.zeros(len(self._free))
        posterior, features, spread = fit
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # one thread: blocked sums differ with their number
            parts = [posterior.predict(features(piece)) for piece in self._pieces()]
        mean, deviation = (np.concatenate(column) for column in zip(*parts, strict=True))
        return self._offset() + spread * mean, WIDTH * spread * deviation

    def _offset(self) -> float:
        return float(self._gains.mean()) if len(self._gains) else 0.0

    def _fit(self) -> tuple[Posterior, Callable[[Any], np.ndarray], float] | None:
        """The regression of the rewards so far, standardised; the features of rows; and the rewards' spread.

        None before there is anything to learn from.
        """
        spread = float(self._gains.std()) if len(self._gains) else 0.0
        if spread < 1e-6 * max(1.0, abs(self._offset())):  # all alike, but for rounding
            return None
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            centre = self._vectors.mean(axis=0, dtype=np.float64)
            radius = np.sqrt(max(1e-12, 1.0 - float(centre @ centre)))

            def features(rows: Any) -> np.ndarray:
                own = (np.asarray(self._vectors[rows], dtype=np.float64) - centre) / radius
                return np.column_stack([np.ones(len(own)), self._free[rows], own])

            free, d = self._free.shape[1], self._vectors.shape[1]
            scales = [np.repeat([1.0, one, other], [1, free, d]) for one, other in product(_FREE, _VECTOR)]
            posterior = regress(features(self._rows), (self._gains - self._offset()) / spread, scales)
        return posterior, features, spread

    def _pieces(self) -> Iterator[slice]:
        for start in range(0, len(self._free), _CHUNK):
            yield slice(start, start + _CHUNK)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "rows": self._rows.tolist(), "gains": self._gains.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.observe(np.array(state["rows"]), np.array(state["gains"]))


def standardised(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Scores (n,) each as columns of mean 0 and deviation 1, float64 (n, f); the lowest hundredth cut off before.

    A weight of logarithms has a long lower tail, in which differences say nothing.
    """
    columns = []
    for score in scores:
        cut = np.maximum(score, np.quantile(score, 0.01)).astype(np.float64)
        columns.append((cut - cut.mean()) / (cut.std() + 1e-12))
    return np.column_stack(columns)
