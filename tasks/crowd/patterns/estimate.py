"""How sure it is that a rule is significant, and what one more answer would change.

A rule is significant when the mean support over all workers reaches theta_s and the mean confidence theta_c (Amsterdamer et
al., "Crowd Mining", SIGMOD 2013, section 2). Of the answers (support, confidence) only number, sum and sum of products are
kept. The mean over all workers is taken for bivariate normal around the mean of the answers (section 4.1); a normal-inverse-
Wishart prior stands for the answers that a rule does not have yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, owens_t

_NODES = 5  # of the quadrature, for each of support and confidence
AHEAD = (1, 2, 4, 8, 16)  # answers
_LARGEST_RHO = 0.999


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a rule without answers.

    Args:
        mean: of (support, confidence) in each of two groups of rules, float64 (2, 2).
        covariance: of the answers of different workers to one rule, float64 (2, 2).
        weight: answers that the mean stands for.
        degrees: answers that the covariance stands for.
    """

    mean: np.ndarray
    covariance: np.ndarray
    weight: float = 1.0
    degrees: float = 8.0


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of each rule.

    Args:
        mean: of (support, confidence) over all workers, float64 (rules, 2).
        covariance: of the answers of different workers, float64 (rules, 2, 2).
        weight: answers that the mean stands for, the prior's among them, float64 (rules,).
    """

    mean: np.ndarray
    covariance: np.ndarray
    weight: np.ndarray


def belief_of(
    count: np.ndarray, total: np.ndarray, products: np.ndarray, group: np.ndarray, prior: Prior
) -> Belief:
    """The posterior of a normal-inverse-Wishart prior (Gelman et al., Bayesian Data Analysis, section 3.6), its covariance by
    the mode of what it is scaled with.

    Args:
        count: answers to each rule, (rules,).
        total: sums of (support, confidence), float64 (rules, 2).
        products: sums of their outer products, float64 (rules, 2, 2).
        group: of each rule, int64 (rules,), 0 or 1.
    """
    weight, centre = prior.weight + count, prior.mean[group]
    mean = (prior.weight * centre + total) / weight[:, None]
    raw = products + prior.weight * centre[:, :, None] * centre[:, None, :]
    scatter = raw - weight[:, None, None] * mean[:, :, None] * mean[:, None, :]
    covariance = (prior.degrees * prior.covariance + scatter) / (prior.degrees + count)[:, None, None]
    return Belief(mean, covariance, weight.astype(float))


def pooled(
    count: np.ndarray,
    total: np.ndarray,
    products: np.ndarray,
    group: np.ndarray,
    start: Prior,
    strength: float = 10.0,
) -> Prior:
    """A prior out of the answers to all rules (empirical Bayes): what answers to one rule differ by, and what the rules of a group
    are like on average.

    Args:
        group: of each rule, int64 (rules,), 0 or 1.
        start: what holds without answers; it counts as much as `strength` rules of each group, and as many answers.
    """
    asked = count > 0
    number = count[asked].astype(float)
    mean = total[asked] / number[:, None]
    scatter = products[asked].sum(axis=0) - np.einsum("r,ri,rj->ij", number, mean, mean)
    covariance = (strength * start.covariance + scatter) / (strength + (number - 1).sum())
    members = np.stack([group[asked] == one for one in (0, 1)]).astype(float)
    centre = (strength * start.mean + members @ mean) / (strength + members.sum(axis=1))[:, None]
    return Prior(centre, covariance, start.weight, start.degrees)


def above(mean: np.ndarray, covariance: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The probability of both values of a bivariate normal being at least the thresholds, float64 (...).

    Args:
        mean: float64 (..., 2).
        covariance: float64 (..., 2, 2); dimensions before are as those of `mean` or broadcast to them.
        thresholds: of support and confidence, float64 (2,).
    """
    spread = np.sqrt(np.maximum(np.stack([covariance[..., 0, 0], covariance[..., 1, 1]], axis=-1), 1e-12))
    rho = covariance[..., 0, 1] / (spread[..., 0] * spread[..., 1])
    scaled = (mean - thresholds) / spread
    return quadrant(scaled[..., 0], scaled[..., 1], np.clip(rho, -_LARGEST_RHO, _LARGEST_RHO))


def quadrant(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """P(X <= h, Y <= k) of standard normals with correlation rho, elementwise, by Owen's T function (Owen 1956, equation 2.1).

    scipy's multivariate_normal.cdf takes one covariance at a time; this takes an array of correlations.
    """
    # The formula divides by h and k; next to nothing has the limit that nothing has.
    h = np.where(h == 0, 1e-300, h)
    k = np.where(k == 0, 1e-300, k)
    root = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(over="ignore"):
        first = owens_t(h, (k / h - rho) / root)
        second = owens_t(k, (h / k - rho) / root)
    other_sides = np.where((h > 0) == (k > 0), 0.0, 0.5)
    return np.asarray(np.clip((ndtr(h) + ndtr(k)) / 2 - first - second - other_sides, 0.0, 1.0))


def p_significant(belief: Belief, thresholds: np.ndarray) -> np.ndarray:
    """The probability of each rule being significant, float64 (rules,)."""
    return above(belief.mean, belief.covariance / belief.weight[:, None, None], thresholds)


def p_rare(belief: Belief, theta_s: float) -> np.ndarray:
    """The probability of each rule's mean support being below the threshold, float64 (rules,)."""
    error = np.sqrt(np.maximum(belief.covariance[:, 0, 0] / belief.weight, 1e-12))
    return np.asarray(ndtr((theta_s - belief.mean[:, 0]) / error))


def expected_reduction(belief: Belief, thresholds: np.ndarray, ahead: Sequence[int] = AHEAD) -> np.ndarray:
    """By how much an answer is expected to reduce the probability of taking a rule for what it is not, float64 (rules,).

    That probability is min(P, 1 - P). One answer often cannot turn a decision that several could: so the largest reduction per
    answer is taken over several numbers of answers, as the knowledge gradient is (Frazier and Powell, "Paradoxes in learning and
    the marginal value of information", Decision Analysis 7, 2010).

    Args:
        ahead: the numbers of answers that are tried.
    """
    now = _error(p_significant(belief, thresholds))
    per_answer = (now - error_after(belief, thresholds, ahead)) / np.array(ahead)[:, None]
    return np.asarray(np.maximum(per_answer.max(axis=0), 0.0))


def discovery_reduction(belief: Belief, thresholds: np.ndarray, ahead: Sequence[int] = AHEAD) -> np.ndarray:
    """The same for an open question that finds a rule: as long as it is not known it is taken for insignificant, float64 (rules,).

    Args:
        belief: of rules as they are told, before closed answers. The closed questions that follow are counted in.
    """
    missed = p_significant(belief, thresholds)
    after = np.concatenate([_error(missed)[None], error_after(belief, thresholds, ahead)])
    return np.asarray(((missed - after) / np.array([1, *(m + 1 for m in ahead)])[:, None]).max(axis=0))


def error_after(belief: Belief, thresholds: np.ndarray, ahead: Sequence[int]) -> np.ndarray:
    """The expected min(P, 1 - P) after m more answers, float64 (len(ahead), rules), by Gauss-Hermite quadrature.

    The mean will have moved by N(0, S m / (w (w + m))) and be known up to N(0, S / (w + m)), w being the weight so far; the
    covariance S of the answers is taken to stay as it is.
    """
    root = np.linalg.cholesky(belief.covariance + 1e-12 * np.eye(2))
    steps = np.array(ahead, dtype=float)[:, None]
    known = belief.weight + steps
    scale = np.sqrt(steps / (belief.weight * known))
    moves = scale[:, :, None, None] * (_Z @ root.transpose(0, 2, 1))
    covariance = belief.covariance / known[:, :, None, None]
    after = above(belief.mean[:, None] + moves, covariance[:, :, None], thresholds)
    return np.asarray(_error(after) @ _SHARES)


def _grid(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of a quadrature over two standard normals, (nodes^2, 2) and (nodes^2,)."""
    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    points = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
    return points, np.outer(weight, weight).ravel() / weight.sum() ** 2


_Z, _SHARES = _grid(_NODES)


def _error(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum(p, 1 - p))
