"""Those who answer: people and recorded answers, or a simulated crowd; and what their answers say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.crowd.answers import Answers, answers_of
from tasks.crowd.truth.inferred import Inferred, TruthInference

LABELS = ("0", "1")  # different, the same

Given = tuple[np.ndarray, Sequence[str], np.ndarray]
"""Answers: rows of pairs int64 (a,), names of workers, and labels, 0 or 1, int64 (a,)."""


@dataclass
class Asked:
    """All answers of a run so far, merged by truth inference whenever a round comes in.

    Args:
        pairs: how many there are.
        source: rows of pairs -> their answers, at least one of each.
        method: of truth inference.
        rounds: (questions, answers) of each.
    """

    pairs: int
    source: Callable[[np.ndarray], Given]
    method: TruthInference
    rounds: list[tuple[int, int]] = field(default_factory=list)
    _rows: list[np.ndarray] = field(default_factory=list)
    _workers: list[str] = field(default_factory=list)
    _labels: list[np.ndarray] = field(default_factory=list)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Ask about pairs. Returns the probability of a match of every pair, float64 (m,), NaN where it was not asked."""
        self.hear(rows)
        return self.match()

    def hear(self, rows: np.ndarray) -> None:
        """Take in the answers about pairs."""
        given, workers, labels = self.source(rows)
        self._rows.append(given)
        self._workers.extend(workers)
        self._labels.append(labels)
        self.rounds.append((len(rows), len(given)))

    def match(self) -> np.ndarray:
        """As all answers so far say."""
        match = np.full(self.pairs, np.nan)
        if self._rows:
            answers, found = self.inferred()
            match[np.array(answers.tasks, dtype=np.int64)] = found.posterior[:, 1]
        return match

    def inferred(self) -> tuple[Answers, Inferred]:
        """The answers, whose tasks are rows of pairs, and what they say."""
        answers = answers_of(
            np.concatenate(self._rows), self._workers, np.concatenate(self._labels), list(LABELS)
        )
        return answers, self.method.infer(answers)


@dataclass(frozen=True)
class Simulated:
    """A crowd that errs as given confusion matrices say.

    Which workers answer a pair, and what, is drawn for all pairs beforehand: plans that ask about the same pair get the same
    answers, and with more answers each the first stay the same.

    Args:
        worker: that give answers 0, 1, ... to each pair, all different, int64 (m, r).
        label: their answers, int64 (m, r).
        names: of workers.
    """

    worker: np.ndarray
    label: np.ndarray
    names: Sequence[str]

    def __call__(self, rows: np.ndarray) -> Given:
        redundancy = self.worker.shape[1]
        workers = [self.names[one] for one in self.worker[rows].ravel().tolist()]
        return np.repeat(rows, redundancy), workers, self.label[rows].ravel()


def simulated(
    truth: np.ndarray,
    confusion: np.ndarray,
    names: Sequence[str],
    redundancy: int,
    random: np.random.Generator,
    activity: np.ndarray | None = None,
) -> Simulated:
    """Draw a crowd's answers.

    Args:
        truth: 1 where a pair is a match, else 0, int64 (m,).
        confusion: probability of each answer by what is right, float64 (w, 2, 2).
        redundancy: answers to each pair, at most w.
        activity: of workers, who answer in proportion to it, float64 (w,); all alike by default.
    """
    weight = np.ones(len(confusion)) if activity is None else activity
    keys = np.log(weight) + random.gumbel(size=(len(truth), len(weight)))  # the largest are drawn by weight
    worker = np.argsort(-keys, axis=1)[:, :redundancy]
    says_match = confusion[worker, truth[:, None], 1]
    label = (random.random(worker.shape) < says_match).astype(np.int64)
    return Simulated(worker, label, names)
