"""What the crowd has said of which rules, and what to ask it next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tasks.crowd.patterns.estimate import (
    AHEAD,
    Belief,
    Prior,
    belief_of,
    discovery_reduction,
    expected_reduction,
    p_rare,
    p_significant,
    pooled,
)
from tasks.crowd.patterns.rules import Rule, generalisations, joins, turned

Choice = Literal["error", "random", "fewest"]

_START = ((0.04, 0.0), (0.0, 0.09))  # of answers to one rule, before any are known: deviations of .2 and .3
_REFIT = 1.2  # the prior is learned again when there are this many times the answers


@dataclass(frozen=True, slots=True)
class Policy:
    """How questions are chosen.

    Args:
        theta_s, theta_c: of significant rules: least mean support and confidence.
        most: items of a rule, both sides together.
        choice: closed questions: error: where an answer is expected to reduce the error most; random; fewest: answers so far.
        open_share: of the questions that are open; None: an open one whenever it is expected to reduce the error more.
        prune: leave rules alone that contain items whose support is surely too low.
        expand: ask of the neighbours of rules that seem significant.
        sure: probability that counts for surely.
        ahead: numbers of answers that are looked ahead, of which the best counts.
    """

    theta_s: float
    theta_c: float
    most: int = 3
    choice: Choice = "error"
    open_share: float | None = None
    prune: bool = True
    expand: bool = True
    sure: float = 0.95
    ahead: tuple[int, ...] = AHEAD

    @property
    def thresholds(self) -> np.ndarray:
        return np.array([self.theta_s, self.theta_c])


@dataclass(frozen=True, slots=True)
class Question:
    """Open without a rule: tell a rule of yours. Closed with one: how often do you do it?

    Args:
        gain: by how much the answer is expected to reduce the expected number of wrong decisions.
    """

    rule: Rule | None
    gain: float


@dataclass
class Miner:
    """Rules that are known, and the sums of their answers.

    An open answer makes a rule known and does not count for its numbers: who tells of a rule does it more often than others do.
    """

    policy: Policy
    rules: list[Rule] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place: dict[Rule, int] = {}
        self.count = np.zeros(0, dtype=np.int64)
        self.total = np.zeros((0, 2))
        self.products = np.zeros((0, 2, 2))
        self.waiting = np.zeros(0, dtype=np.int64)  # questions that are asked and not answered yet
        self.exhausted = np.zeros(0, dtype=bool)  # nobody is left to ask
        self.pruned = np.zeros(0, dtype=bool)
        self.p = np.zeros(0)
        self.gain = np.zeros(0)
        self.group = np.zeros(0, dtype=np.int64)  # 1: told by somebody
        self.told: Counter[Rule] = Counter()
        self._told_once = 0
        self.open_asked, self.closed_asked, self.open_waiting = 0, 0, 0
        self.silent = False  # nobody has another rule to tell
        self.prior = self._start = Prior(np.stack([self.policy.thresholds] * 2), np.array(_START))
        self._discovery = self._expected_discovery()
        self._refit_at = 10.0
        self._rare: set[frozenset[str]] = set()
        self._grown: set[Rule] = set()
        known, self.rules = self.rules, []
        self.add(known)

    def __len__(self) -> int:
        return len(self.rules)

    def add(self, rules: Iterable[Rule], told: bool = False) -> None:
        """Make rules known."""
        new = [rule for rule in dict.fromkeys(rules) if rule not in self.place]
        if not new:
            return
        first, more = len(self.rules), len(new)
        self.rules += new
        self.place.update({rule: first + at for at, rule in enumerate(new)})
        self.count, self.waiting = (np.append(one, np.zeros(more, int)) for one in (self.count, self.waiting))
        self.total = np.concatenate([self.total, np.zeros((more, 2))])
        self.products = np.concatenate([self.products, np.zeros((more, 2, 2))])
        self.group = np.append(self.group, np.full(more, int(told)))
        self.exhausted = np.append(self.exhausted, np.zeros(more, dtype=bool))
        self.pruned = np.append(self.pruned, [self._is_pruned(rule) for rule in new])
        self.p, self.gain = (np.append(one, np.zeros(more)) for one in (self.p, self.gain))
        self._judge(np.arange(first, first + more))

    def tell(self, rule: Rule) -> None:
        """An open answer."""
        self.open_asked += 1
        self.open_waiting = max(0, self.open_waiting - 1)
        self.told[rule] += 1
        self._told_once += {1: 1, 2: -1}.get(self.told[rule], 0)
        self.add([rule], told=True)

    def answer(self, rule: Rule, support: float, confidence: float, asked: bool = True) -> None:
        """A closed answer: a worker's own support and confidence.

        Args:
            asked: whether it answers a question that was asked here.
        """
        self.add([rule])
        at, value = self.place[rule], np.array([support, confidence])
        self.count[at] += 1
        self.total[at] += value
        self.products[at] += np.outer(value, value)
        if asked:
            self.closed_asked += 1
            self.waiting[at] = max(0, self.waiting[at] - 1)
        if self.count.sum() >= self._refit_at:
            self._refit_at = self.count.sum() * _REFIT
            self.refit()
        else:
            self._judge(np.array([at]))
        if self.policy.expand and self.p[at] >= 0.5 and rule not in self._grown:
            self._grown.add(rule)
            self.add(self._neighbours(rule))

    def refit(self) -> None:
        """Learn the prior from all answers, and judge all rules by it."""
        self.prior = pooled(self.count, self.total, self.products, self.group, self._start)
        self._discovery = self._expected_discovery()
        self._judge(np.arange(len(self.rules)))

    @property
    def belief(self) -> Belief:
        """What is believed of all rules."""
        return self._belief(np.arange(len(self.rules)))

    @property
    def significant(self) -> np.ndarray:
        """The decision on each rule, bool (rules,)."""
        return (self.p >= 0.5) & ~self.pruned

    @property
    def error(self) -> float:
        """The expected number of known rules that are taken for what they are not."""
        return float(np.where(self.pruned, 0.0, np.minimum(self.p, 1 - self.p)).sum())

    @property
    def open_gain(self) -> float:
        """What an open question is expected to give: the chance of its telling a new rule, times what finding one is worth.

        The chance is Good and Turing's: the share of open answers that told what nobody else did.
        """
        chance = (self._told_once + 1) / (self.open_asked + self.open_waiting + 1)
        return 0.0 if self.silent else chance * self._discovery

    @property
    def has_questions(self) -> bool:
        """Whether anybody is left to ask anything."""
        return not self.silent or not (self.exhausted | self.pruned).all()

    def next(self, generator: np.random.Generator, count: int = 1) -> list[Question]:
        """The questions to ask next, the best first; fewer where there are no more. They wait until they are answered or dropped."""
        found: list[Question] = []
        while len(found) < count:
            question = self._next(generator)
            if question is None:
                break
            found.append(question)
        return found

    def drop(self, question: Question, for_good: bool = True) -> None:
        """A question nobody answers."""
        if question.rule is None:
            self.open_waiting = max(0, self.open_waiting - 1)
            self.silent = self.silent or for_good
            return
        self.add([question.rule])
        at = self.place[question.rule]
        self.waiting[at] = max(0, self.waiting[at] - 1)
        self.exhausted[at] = self.exhausted[at] or for_good
        self._judge(np.array([at]))

    def _next(self, generator: np.random.Generator) -> Question | None:
        places = np.flatnonzero(~(self.exhausted | self.pruned))
        best = self._choose(places, generator) if len(places) else None
        if not self.silent and (best is None or self._asks_openly(float(self.gain[best]))):
            self.open_waiting += 1
            return Question(None, self.open_gain)
        if best is None:
            return None
        gain = float(self.gain[best])
        self.waiting[best] += 1
        if self.policy.choice == "error":
            self._judge(np.array([best]))
        return Question(self.rules[best], gain)

    def _choose(self, places: np.ndarray, generator: np.random.Generator) -> int:
        if self.policy.choice == "random":
            return int(generator.choice(places))
        if self.policy.choice == "fewest":
            return int(places[np.argmin(self.count[places] + self.waiting[places])])
        return int(places[np.argmax(self.gain[places])])

    def _asks_openly(self, closed_gain: float) -> bool:
        opened = self.open_asked + self.open_waiting
        asked = opened + self.closed_asked + int(self.waiting.sum())
        if self.policy.open_share is None:
            # No more than half of what is asked at once, for what one answers changes what the next is worth.
            return self.open_gain > closed_gain and 2 * self.open_waiting <= asked - opened + 20
        return opened < self.policy.open_share * (asked + 1)

    def _belief(self, places: np.ndarray) -> Belief:
        sums = self.count[places], self.total[places], self.products[places]
        return belief_of(*sums, self.group[places], self.prior)

    def _judge(self, places: np.ndarray) -> None:
        """Probability and gain of some rules."""
        belief = self._belief(places)
        self.p[places] = p_significant(belief, self.policy.thresholds)
        if self.policy.choice == "error":
            expected = Belief(belief.mean, belief.covariance, belief.weight + self.waiting[places])
            self.gain[places] = expected_reduction(expected, self.policy.thresholds, self.policy.ahead)
        if self.policy.prune:
            rare = p_rare(belief, self.policy.theta_s) >= self.policy.sure
            self._prune(places, rare & (self.count[places] > 1))

    def _expected_discovery(self) -> float:
        """By how much finding a rule reduces the error, for each question that it takes."""
        told = Belief(self.prior.mean[1:], self.prior.covariance[None], np.array([self.prior.weight]))
        return float(discovery_reduction(told, self.policy.thresholds)[0])

    def _prune(self, places: np.ndarray, rare: np.ndarray) -> None:
        """Support is anti-monotone: what contains rare items is as rare, however it is split into two sides."""
        before = set(self._rare)
        for at, is_rare in zip(places.tolist(), rare.tolist(), strict=True):
            (self._rare.add if is_rare else self._rare.discard)(self.rules[at].items)
        if self._rare != before:
            self.pruned = np.array([self._is_pruned(rule) for rule in self.rules], dtype=bool)

    def _is_pruned(self, rule: Rule) -> bool:
        items = rule.items
        return any(rare < items for rare in self._rare)

    def _neighbours(self, rule: Rule) -> Iterable[Rule]:
        likely: Sequence[Rule] = [self.rules[at] for at in np.flatnonzero(self.p >= 0.5)]
        return [*generalisations(rule), *turned(rule), *joins(rule, likely, self.policy.most)]
