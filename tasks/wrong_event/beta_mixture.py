"""P(clean) from wrong events: a mixture of two Beta distributions (arXiv 2505.00812, section 3; Arazo et al., ICML 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, expit

FIRST_ITERATIONS = 20
SETTLED_ITERATIONS = (
    400  # by then EM has come to rest on every mixture that was simulated; after twenty it had not
)
_REST = 1e-12  # the most that P(clean) of a row still moves
_EDGE = 1e-6  # of x: a Beta density may be infinite at 0 and 1
_FEWEST = 10  # rows of a class that has a mixture of its own
# The paper's guards: without them a component can be U-shaped, and then has mass at the other one's end.
_LEAST, _INSTEAD = 1.02, 1.1
_LEAST_VARIANCE = 1e-6
CLEAN, NOISY = 0, 1
HALF = 0.5  # of the visits: `least` of labels


def scaled(counts: np.ndarray, visits: int | None = None) -> np.ndarray:
    """Counts (n,) as x in (0, 1): the fewest near 0, one at every visit near 1; all near 0 where they are all alike.

    Of losses this is the paper's (w - min) / (max - min), cut to 1e-6 from the ends. A whole number stands for the middle of
    its step, (w - min + 1/2) / (max - min + 1), which is the same for many steps: but a lone row at 1 - 1e-6, where a Beta
    density has no bound, in the end gets the noisy component for itself.

    Args:
        visits: to each row, which stand in for the largest count. With wrong labels in the data some row has a wrong event at
            every visit, and it is the same; where all labels are right, a few events are not stretched to look like many.
            None is the paper's scale.
    """
    counts = np.asarray(counts)
    if not len(counts) or np.ptp(counts) == 0:
        return np.full(len(counts), _EDGE)
    if counts.dtype.kind == "i":
        middles: np.ndarray = (counts - counts.min() + 0.5) / _steps(counts, visits)
        return middles
    shares: np.ndarray = np.clip((counts - counts.min()) / np.ptp(counts), _EDGE, 1 - _EDGE)
    return shares


def _steps(counts: np.ndarray, visits: int | None) -> int:
    """How many whole numbers the scale has."""
    return int(counts.max() if visits is None else visits) - int(counts.min()) + 1


def _step(counts: np.ndarray, visits: int | None) -> float:
    """Between whole numbers on the scale; 0 of losses."""
    return 1 / _steps(counts, visits) if counts.dtype.kind == "i" else 0.0


@dataclass(frozen=True, slots=True)
class BetaMixture:
    """Two Beta components, the clean one first.

    Args:
        alpha, beta: shapes, (2,).
        weights: of the components, (2,), sum 1.
    """

    alpha: np.ndarray
    beta: np.ndarray
    weights: np.ndarray

    @classmethod
    def start(cls) -> BetaMixture:
        """Where the paper begins: densities that fall and rise linearly."""
        return cls(np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.5, 0.5]))

    @classmethod
    def all_clean(cls, x: np.ndarray, step: float = 0.0) -> BetaMixture:
        """The clean component alone, of all x (n,); the noisy one has no weight."""
        one = _matched(x, np.stack([np.ones(len(x)), np.zeros(len(x))]), step**2 / 12)
        return cls(one.alpha, one.beta, np.array([1.0, 0.0]))

    @property
    def single(self) -> bool:
        """Whether no row is of the noisy component."""
        return bool(self.weights[NOISY] == 0)

    def log_densities(self, x: np.ndarray) -> np.ndarray:
        """Of both components, weighted, (2, n)."""
        return self._log_densities(_logs(x))

    def log_likelihood(self, x: np.ndarray) -> float:
        """Mean over x (n,)."""
        return float(np.logaddexp(*self.log_densities(x)).mean())

    def updated(self, x: np.ndarray, iterations: int, step: float = 0.0) -> BetaMixture:
        """After some iterations of EM on x (n,) in (0, 1), whose M step matches moments.

        Args:
            step: between values of x, where they are a scale of whole numbers: a component is then at least as broad as one
                step, or with few steps it would shrink to a single value, whose density has no bound.
        """
        mixture = self
        values, times = np.unique(x, return_counts=True)  # counts are few different numbers
        logs, before = _logs(values), np.full(len(values), np.inf)
        for _ in range(iterations):
            clean = mixture._posterior(logs)
            if np.abs(clean - before).max() <= _REST:
                break
            before = clean
            mixture = _matched(values, np.array([clean, 1 - clean]) * times, step**2 / 12)
        return mixture._ordered()

    def clean(self, x: np.ndarray) -> np.ndarray:
        """P(clean | x), (n,), which never rises with x.

        The ratio of two Beta densities may turn once: of two components that are both bell-shaped, the broader is again the
        likelier one beyond the narrower, so that a row without a wrong event would be the surest to be wrong. Beyond the
        turn the value at the turn holds.
        """
        if self.single:
            return np.ones(len(x))
        (a1, a2), (b1, b2) = self.alpha, self.beta
        over_alpha, over_beta = a1 - a2, b1 - b2
        x = np.asarray(x, dtype=float)
        if over_alpha > 0 and over_beta > 0:
            x = np.maximum(x, over_alpha / (over_alpha + over_beta))
        elif over_alpha < 0 and over_beta < 0:
            x = np.minimum(x, over_alpha / (over_alpha + over_beta))
        return self._posterior(_logs(x))

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """Distribution functions of both components at x, (2, n)."""
        found: np.ndarray = betainc(self.alpha[:, None], self.beta[:, None], x)
        return found

    @property
    def means(self) -> np.ndarray:
        means: np.ndarray = self.alpha / (self.alpha + self.beta)
        return means

    def _log_densities(self, logs: np.ndarray) -> np.ndarray:
        """As `log_densities`, of `_logs(x)`."""
        constants = np.log(self.weights) - betaln(self.alpha, self.beta)
        found: np.ndarray = np.array([self.alpha - 1, self.beta - 1]).T @ logs + constants[:, None]
        return found

    def _posterior(self, logs: np.ndarray) -> np.ndarray:
        """P(clean) by the ratio of the densities, (n,), of `_logs(x)`."""
        clean, noisy = self._log_densities(logs)
        found: np.ndarray = expit(clean - noisy)
        return found

    def _ordered(self) -> BetaMixture:
        """The component with the fewer wrong events is the clean one."""
        if self.means[CLEAN] <= self.means[NOISY]:
            return self
        return BetaMixture(self.alpha[::-1], self.beta[::-1], self.weights[::-1])


def _logs(x: np.ndarray) -> np.ndarray:
    """log x and log(1 - x), (2, n)."""
    return np.stack([np.log(x), np.log1p(-x)])


def _matched(x: np.ndarray, shares: np.ndarray, least: float) -> BetaMixture:
    """The mixture whose components have the means and variances (`least` at least) of x under `shares` (2, n)."""
    totals = np.maximum(shares.sum(axis=1), 1e-12)
    means = np.minimum(np.maximum(shares @ x / totals, _EDGE), 1 - _EDGE)
    spreads = (shares * (x - means[:, None]) ** 2).sum(axis=1)
    variances = np.maximum(spreads / totals, max(least, _LEAST_VARIANCE))
    sizes = np.maximum(means * (1 - means) / variances - 1, 1e-3)
    alpha, beta = means * sizes, (1 - means) * sizes
    if beta[CLEAN] < _LEAST:
        beta[CLEAN] = _INSTEAD
    if alpha[NOISY] < _LEAST:
        alpha[NOISY] = _INSTEAD
    weights = np.maximum(totals / totals.sum(), 1e-6)
    return BetaMixture(alpha, beta, weights / weights.sum())


class EventModel:
    """P(clean) and the weight of consistency for every row, by mixtures over the wrong events.

    Args:
        groups: whose rows have a mixture of their own, the given class of each row, (n,); rows of a group of fewer than ten
            share one over all rows.
        count: of groups.
        per_group: False has one mixture over all rows.
        least: share of the visits that the noisy component must lie above in the end, or all rows of its mixture are clean. There
            is always a second component, since some rows are harder than others; but where the network agrees with a label
            at most visits, the label is not a wrong one. 0 is the paper's way.
    """

    def __init__(self, groups: np.ndarray, count: int, per_group: bool = True, *, least: float = 0.0) -> None:
        self.groups, self.count, self.least = np.asarray(groups), count, least
        self.visits: int | None = None  # to each row, that the counts are of
        sizes = np.bincount(self.groups, minlength=count)
        self.own = [group for group in range(count) if per_group and sizes[group] >= _FEWEST]
        self.mixtures: dict[int, BetaMixture] = {}  # -1: over all rows
        self.iterations = 2 if per_group else 1  # of an epoch, after the first

    def update(self, counts: np.ndarray, visits: int | None = None) -> None:
        """Learn from the wrong events so far, (n,): twenty iterations the first time, then one an epoch, or two.

        Args:
            visits: to each row so far; see `scaled`.
        """
        self.visits = visits
        self._learn(counts, self.iterations if self.mixtures else FIRST_ITERATIONS)

    def settle(self, counts: np.ndarray, visits: int | None = None) -> None:
        """Learn from the wrong events of the whole training until nothing changes any more."""
        self.visits = visits
        self._learn(counts, SETTLED_ITERATIONS)
        for group, mixture in self.mixtures.items():
            if mixture.means[NOISY] <= self.least:
                own = self._rows(scaled(counts, visits), group)
                self.mixtures[group] = BetaMixture.all_clean(own, _step(counts, visits))

    def _learn(self, counts: np.ndarray, iterations: int) -> None:
        x, step = scaled(counts, self.visits), _step(counts, self.visits)
        for group in [-1, *self.own]:
            before = self.mixtures.get(group, BetaMixture.start())
            self.mixtures[group] = before.updated(self._rows(x, group), iterations, step)

    def _rows(self, x: np.ndarray, group: int) -> np.ndarray:
        """What a mixture learns from: the rows of its group, or all."""
        return x if group < 0 else x[self.groups == group]

    def mixture_of(self, group: int) -> BetaMixture:
        return self.mixtures[group if group in self.own else -1]

    def clean(self, counts: np.ndarray) -> np.ndarray:
        """P(clean), (n,)."""
        return self._of_rows(counts)[0]

    def weights(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(clean) and the weight of consistency, both (n,).

        The weight is p1 F_clean(x) + (1 - p2) (1 - F_noisy(x)) with p1 = P(clean | x), p2 = P(noisy | x): large where a row is
        likely to be clean and yet has as many wrong events as few clean rows have.
        """
        clean, cumulative = self._of_rows(counts)
        noisy = 1 - clean
        return clean, clean * cumulative[CLEAN] + (1 - noisy) * (1 - cumulative[NOISY])

    def _of_rows(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = scaled(counts, self.visits)
        if np.ptp(x) == 0:  # nothing tells rows apart
            return np.ones(len(x)), np.stack([np.ones(len(x)), np.zeros(len(x))])
        clean, cumulative = np.empty(len(x)), np.empty((2, len(x)))
        for group in range(self.count):
            rows = np.flatnonzero(self.groups == group)
            mixture = self.mixture_of(group)
            clean[rows] = mixture.clean(x[rows])
            cumulative[:, rows] = mixture.cumulative(x[rows])
        return clean, cumulative

    def state(self) -> dict[str, list[list[float]]]:
        return {
            str(group): [one.alpha.tolist(), one.beta.tolist(), one.weights.tolist()]
            for group, one in self.mixtures.items()
        }

    def restore(self, state: dict[str, list[list[float]]]) -> None:
        self.mixtures = {int(group): BetaMixture(*map(np.array, own)) for group, own in state.items()}
