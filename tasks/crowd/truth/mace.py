"""MACE (Hovy et al., NAACL 2013): each answer is either known, and then right, or guessed by the worker's own habit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from tasks.crowd.answers import Answers
from tasks.crowd.truth.inferred import Inferred, TruthInference, evidence, hold, quality_of, softmax

_KNOWN, _GUESSED = 0, 1


@dataclass(frozen=True)
class Mace(TruthInference):
    """Variational inference from several random starts; of these the one that explains the answers best.

    Args:
        starts: random starts.
        most: steps of each.
        habit, knowledge: prior counts of the distributions of guesses, and of known and guessed.
        seed: of the starts.
        tolerance: relative change of the log likelihood below which a start ends.
    """

    starts: int = 10
    most: int = 50
    habit: float = 10.0
    knowledge: float = 0.5
    seed: int = 0
    tolerance: float = 1e-7

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        generator = np.random.default_rng(self.seed)
        runs = [self._run(answers, golden, generator) for _ in range(self.starts)]
        _, posterior, known, steps = max(runs, key=lambda run: run[0])
        return Inferred(posterior, quality_of(answers, posterior), steps, weight=known)

    def _run(
        self, answers: Answers, golden: np.ndarray | None, generator: np.random.Generator
    ) -> tuple[float, np.ndarray, np.ndarray, int]:
        """Log likelihood, posterior, share of known answers of each worker, steps."""
        workers, labels = len(answers.workers), len(answers.labels)
        guess = answers.worker * labels + answers.label
        knows = np.stack([np.full(workers, 0.5), np.full(workers, 0.5)])
        knows[_KNOWN] += generator.uniform(0, 0.5, workers)
        knows /= knows.sum(axis=0)
        guesses = generator.uniform(0.5, 1.5, (workers, labels))
        guesses /= guesses.sum(axis=1, keepdims=True)
        taken, likelihood, settled = 0, -np.inf, False
        while taken < self.most and not settled:
            known = knows[_KNOWN][answers.worker]
            guessed = knows[_GUESSED][answers.worker] * guesses.ravel()[guess]
            logits = answers.votes(np.log1p(known / guessed))
            posterior = hold(softmax(logits), golden)
            after = evidence(logits, golden) + float(np.log(guessed).sum())
            share = posterior.ravel()[answers.cell] * known / (known + guessed)
            counts = np.stack([np.bincount(answers.worker, part, workers) for part in (share, 1 - share)])
            habits = np.bincount(guess, 1 - share, workers * labels).reshape(workers, labels)
            knows = _mean(counts + self.knowledge, axis=0)
            guesses = _mean(habits + self.habit, axis=1)
            settled = abs(after - likelihood) < self.tolerance * abs(after)
            taken, likelihood = taken + 1, after
        return likelihood, posterior, counts[_KNOWN] / np.maximum(answers.per_worker, 1), taken


def _mean(counts: np.ndarray, axis: int) -> np.ndarray:
    """exp(E[log p]) of a Dirichlet with these counts."""
    return np.asarray(np.exp(digamma(counts) - digamma(counts.sum(axis=axis, keepdims=True))))
