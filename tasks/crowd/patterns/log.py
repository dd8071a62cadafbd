"""What was answered, and what the miner makes of it, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tasks.crowd.patterns.crowd import Answer
from tasks.crowd.patterns.given import said_before, texts_of
from tasks.crowd.patterns.miner import Miner, Question
from tasks.crowd.patterns.rules import Rule
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.records import Reject
from tasks.storage.sheets import as_text

Facts = dict[str, Any]

_COURSE = 100  # points of the course that is drawn
QUESTIONS_HEAD = (
    "question",
    "kind",
    "worker",
    "antecedent",
    "consequent",
    "support",
    "confidence",
    "expected_gain",
)
RULES_HEAD = (
    "antecedent",
    "consequent",
    "n",
    "support",
    "confidence",
    "p_significant",
    "decision",
    "because",
)


class Log:
    """Every answer in its order, and how the decisions went."""

    def __init__(self, miner: Miner) -> None:
        self._miner = miner
        self._rows: list[tuple[Answer, bool, float | None]] = []
        self._points: list[list[float]] = []
        self._said: set[tuple[str, Rule]] = set()
        self.workers: set[str] = set()
        self.rejected: list[Reject] = []
        self.asked = self.asked_open = 0

    def count(self, answer: Answer, is_open: bool, gain: float | None, place: str = "") -> None:
        """An answer that the miner has to be told; a worker's second one to the same closed question does not count.

        Args:
            place: where it stands, for those that do not count.
        """
        if is_open:
            self._miner.tell(answer.rule)
        elif (answer.worker, answer.rule) not in self._said:
            self._said.add((answer.worker, answer.rule))
            self._miner.answer(answer.rule, answer.support, answer.confidence, asked=gain is not None)
        else:
            self.rejected.append(said_before(answer, place))
            if gain is not None:
                self.asked += 1
                self._miner.drop(Question(answer.rule, gain), for_good=False)
            return
        self.note(answer, is_open, gain)

    def note(self, answer: Answer, is_open: bool, gain: float | None) -> None:
        """An answer that the miner knows."""
        self._rows.append((answer, is_open, gain))
        self.workers.add(answer.worker)
        if gain is not None:
            self.asked += 1
            self.asked_open += is_open
            self.mark()

    def mark(self) -> None:
        """A point of the course."""
        miner = self._miner
        self._points.append([self.asked, len(miner), int(miner.significant.sum()), round(miner.error, 4)])

    def course(self) -> Facts:
        """How the decisions went: lists of equal length."""
        kept = np.unique(np.linspace(0, len(self._points) - 1, _COURSE).astype(int))
        columns = zip(*(self._points[at] for at in kept), strict=True)
        return dict(zip(("asked", "rules", "significant", "error"), map(list, columns), strict=True))

    def rows(self, settings: PatternsSettings) -> Iterator[list[Any]]:
        """Rows of questions.csv."""
        for number, (answer, is_open, gain) in enumerate(self._rows, start=1):
            kind = ("open" if is_open else "closed") if gain is not None else "given"
            values = [
                f"{answer.support:.6g}",
                f"{answer.confidence:.6g}",
                "" if gain is None else f"{gain:.6g}",
            ]
            yield [number, kind, as_text(answer.worker), *texts_of(answer.rule, settings), *values]


def rule_rows(miner: Miner, settings: PatternsSettings) -> Iterable[list[Any]]:
    """Rules, the significant ones first, by how sure they are."""
    mean, significant = np.clip(miner.belief.mean, 0, 1), miner.significant
    answered = miner.count > 0
    mean[answered] = miner.total[answered] / miner.count[answered, None]
    for at in np.lexsort((-miner.p, ~significant)).tolist():
        because = "answers" if answered[at] else "what rules are like"
        if miner.pruned[at]:
            because = "its items are too rare together"
        yield [
            *texts_of(miner.rules[at], settings),
            int(miner.count[at]),
            *(f"{value:.6f}" for value in (*mean[at].tolist(), float(miner.p[at]))),
            "significant" if significant[at] else "insignificant",
            because,
        ]
