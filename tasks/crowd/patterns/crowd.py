"""Who answers: simulated workers who know their own transactions, or answers that were recorded."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tasks.crowd.patterns.miner import Miner
from tasks.crowd.patterns.rules import Rule
from tasks.crowd.patterns.transactions import Transactions, own_rules


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker said of a rule: how often they do all of it, and how often the consequent when they do the antecedent."""

    worker: str
    rule: Rule
    support: float
    confidence: float


class Crowd(Protocol):
    """Answers questions; None where nobody can any more."""

    def open(self) -> Answer | None: ...

    def closed(self, rule: Rule) -> Answer | None: ...


class Simulated:
    """Workers who answer out of their own transactions, rounded as people do.

    A question goes to a worker at random. Asked openly, a worker tells one of the rules that hold for themselves, each once,
    the more often the likelier.

    Args:
        theta_s, theta_c: from where on a rule holds for a worker.
        most: items of a rule.
        scale: steps of an answer, 5: never, a quarter, half, three quarters, always; 0: not rounded.
    """

    def __init__(
        self,
        data: Transactions,
        theta_s: float,
        theta_c: float,
        most: int,
        scale: int,
        generator: np.random.Generator,
    ) -> None:
        self._data, self._scale, self._generator = data, scale, generator
        self._bounds = theta_s, theta_c, most
        self._asked: defaultdict[Rule, set[int]] = defaultdict(set)
        self._untold: dict[int, dict[Rule, float]] = {}

    def open(self) -> Answer | None:
        for worker in self._generator.permutation(len(self._data.workers)).tolist():
            if worker not in self._untold:
                self._untold[worker] = own_rules(self._data, worker, *self._bounds)
            if untold := self._untold[worker]:
                rules, shares = list(untold), np.array(list(untold.values()))
                rule = rules[int(self._generator.choice(len(rules), p=shares / shares.sum()))]
                del untold[rule]
                return self._answer(worker, rule)
        return None

    def closed(self, rule: Rule) -> Answer | None:
        asked, count = self._asked[rule], len(self._data.workers)
        if len(asked) == count:
            return None
        worker = int(self._generator.integers(count))
        while worker in asked:
            worker = int(self._generator.integers(count))
        asked.add(worker)
        return self._answer(worker, rule)

    def _answer(self, worker: int, rule: Rule) -> Answer:
        support, confidence = (self._rounded(value) for value in self._data.answer(worker, rule))
        return Answer(self._data.workers[worker], rule, support, confidence)

    def _rounded(self, value: float) -> float:
        return round(value * (self._scale - 1)) / (self._scale - 1) if self._scale else value


class Recorded:
    """Answers that were given before, to each rule and to open questions in their order."""

    def __init__(self, closed: Sequence[Answer], opened: Sequence[Answer]) -> None:
        self._closed: defaultdict[Rule, deque[Answer]] = defaultdict(deque)
        for answer in closed:
            self._closed[answer.rule].append(answer)
        self._open = deque(opened)

    def open(self) -> Answer | None:
        return self._open.popleft() if self._open else None

    def closed(self, rule: Rule) -> Answer | None:
        answers = self._closed[rule]
        return answers.popleft() if answers else None


def ask(miner: Miner, crowd: Crowd, generator: np.random.Generator) -> tuple[Answer, bool, float] | None:
    """Ask the best question that somebody answers. Returns the answer, whether it was an open one, and the gain that was expected."""
    while questions := miner.next(generator):
        question = questions[0]
        if question.rule is None:
            if told := crowd.open():
                miner.tell(told.rule)
                return told, True, question.gain
        elif answer := crowd.closed(question.rule):
            miner.answer(answer.rule, answer.support, answer.confidence)
            return answer, False, question.gain
        miner.drop(question)
    return None
