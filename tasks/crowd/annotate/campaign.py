"""Where a campaign stands: which items still want answers, who may be given which, what the answers say so far.

Within a round an answer moves the posterior of its item by Bayes' rule with the confusion matrix that its worker had at the
round's beginning; between rounds truth is inferred anew from all answers.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.annotate.belief import Belief, believe
from tasks.crowd.annotate.items import Given, Items, earlier_answers, items_of
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import FOR_EVER, Answer, CampaignStore
from tasks.crowd.annotate.worker import Worker, golden_due
from tasks.crowd.assign import choose, closed, information
from tasks.crowd.truth.agreement import upper_bound
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.run.seeds import generator

Facts = dict[str, Any]


STORE = "campaign.sqlite"
LAST = sys.maxsize  # as a round: after all of them


class Campaign:
    """A campaign over a store. Safe to use from several threads.

    Args:
        round: the current one; answers of earlier ones are taken as a whole.
    """

    def __init__(
        self, settings: AnnotateSettings, items: Items, store: CampaignStore, round: int = 1
    ) -> None:
        self.settings, self.items, self.store, self.round = settings, items, store, round
        self.changed = threading.Condition(threading.RLock())
        self.code = {id: code for code, id in enumerate(items.ids)}
        self.label_code = {label: code for code, label in enumerate(settings.labels)}
        self.workers: dict[str, Worker] = {}
        self.eliminated: set[str] = set()
        self.answers: list[Answer] = []
        self.answered: set[tuple[int, str]] = set()  # items and who has answered them
        self.counts = np.zeros(len(items), dtype=np.int64)  # answers that count
        self.skips = np.zeros(len(items), dtype=np.int64)
        self.in_hand: dict[tuple[int, str], float] = {}  # when the lease runs out
        self.under_way = np.zeros(len(items), dtype=np.int64)  # workers who have each item in hand
        self._soonest = math.inf  # when the first lease may run out
        self.cost, self.this_round = 0.0, 0
        self.known = items.golden.copy()
        for task, label in store.adjudicated().items():
            self.known[self.code[task]] = self.label_code[label]
        self.earlier = earlier_answers(settings, items)
        self.belief: Belief = believe(settings, items, self.earlier, frozenset(), self.known)
        self._load()

    def _load(self) -> None:
        """As if every answer came now: a run that goes on stands where it stood."""
        for task, worker, round in self.store.skips():
            self._met(worker, self.code[task])
            self.skips[self.code[task]] += 1
            self.this_round += round == self.round
        answers = self.store.answers()
        for one in answers:
            if one.round < self.round:
                self._count(one)
        self.eliminated = {name for name in self.workers if self._fails(name)}
        self.refresh()
        for one in answers:
            if one.round >= self.round:
                self._apply(one)
        for lease in self.store.leases():
            self._take(lease.worker, self.code[lease.task], lease.until)

    # --- who gets what

    def offer(
        self, worker: str, count: int, seconds: float = FOR_EVER, among: np.ndarray | None = None
    ) -> list[int]:
        """Hand items to a worker: golden ones among them, none twice, never more than are wanted and can be paid.

        Args:
            count: of items, at most.
            seconds: until they may be given to another.
            among: codes of items that the worker can answer; by default all.

        Returns:
            Codes of the items, in the order to be answered.
        """
        with self.changed:
            self._expire()
            count, free = min(count, self.left()), self._free(worker, among)
            if count <= 0 or not free.any():
                return []
            random = generator(self.settings.seed, "offer", self.store.batches())
            golden = self._golden(worker, count, among, random)
            chosen = self._choose(worker, free, count - len(golden), random)
            tasks: list[int] = random.permutation(np.concatenate([golden, chosen])).astype(int).tolist()
            self.store.lease(worker, [self.items.ids[task] for task in tasks], seconds)
            for task in tasks:
                self._take(worker, task, self.store.clock() + seconds)
            return tasks

    def worth(self, worker: str, count: int, among: np.ndarray | None = None) -> float:
        """What a worker's next answers are expected to tell, each, nats; 0 of one for whom there is nothing. Hands out nothing.

        Args:
            count, among: as `offer`'s.
        """
        with self.changed:
            self._expire()
            free = self._free(worker, among)
            random = generator(self.settings.seed, "offer", self.store.batches())
            chosen = self._choose(worker, free, count, random)
            told = information(self.belief.posterior[chosen], self.belief.confusion(worker))
        return float(told.mean()) if len(told) else 0.0

    def held(self, worker: str) -> list[int]:
        """Items that a worker has in hand, in the order of handing out."""
        with self.changed:
            self._expire()
            return [task for task, name in self.in_hand if name == worker]

    def open_batches(self) -> list[tuple[str, list[int]]]:
        """Workers and what they have in hand, by handing out: what a killed process left is answered first."""
        found: dict[tuple[int, str], list[int]] = {}
        for lease in self.store.leases():
            found.setdefault((lease.batch, lease.worker), []).append(self.code[lease.task])
        return [(worker, tasks) for (_, worker), tasks in found.items()]

    def wanted(self) -> np.ndarray:
        """Answers that each item still wants, besides those that are under way, int64 (items,)."""
        return np.maximum(self.needs() - self.under_way, 0)

    def needs(self) -> np.ndarray:
        """Answers that each item wants at once, int64 (items,): up to the least number, then one at a time until its label is sure."""
        settings, posterior = self.settings, self.belief.posterior
        least, most = settings.min_answers, settings.max_answers
        need = np.minimum(np.maximum(least - self.counts, 1), most - self.counts)
        need[closed(posterior, self.counts, settings.confidence, most, least)] = 0
        need[(self.known != UNKNOWN) | (self.skips >= most)] = 0
        return need

    def left(self) -> int:
        """Answers that may still be handed out and paid."""
        return max(0, self._payable() - len(self.in_hand))

    @property
    def finished(self) -> bool:
        """Whether no item wants an answer, or none can be paid any more."""
        with self.changed:
            return not self.needs().any() or self._payable() <= 0

    # --- what comes

    def accept(
        self,
        worker: str,
        answers: Sequence[tuple[int, int]],
        skips: Sequence[tuple[int, str]] = (),
        costs: Sequence[float] | None = None,
    ) -> list[bool | None]:
        """Keep a worker's answers, all that are paid or none; they are on disk when this returns.

        The budgets pay for what is in hand. An answer to anything else, as one that comes late, is paid of what is left besides.

        Args:
            answers: (code of the item, code of the label).
            skips: (code of the item, reason) of items without an answer.
            costs: US dollars of each answer; by default the price of a person's.

        Returns:
            Of each answer whether it counts: of a worker's answers to an item the first does; None of one that is not kept, for the
            budgets do not pay it.
        """
        paid = costs or [self.settings.answer_price] * len(answers)
        ids, labels = self.items.ids, self.settings.labels
        with self.changed:
            are_paid = self._are_paid(worker, [task for task, _ in answers])
            made = [
                Answer(ids[task], worker, labels[label], self.round, cost)
                for (task, label), cost, is_paid in zip(answers, paid, are_paid, strict=True)
                if is_paid
            ]
            left_out = [(ids[task], worker, reason, self.round) for task, reason in skips]
            counted, skipped = self.store.accept(made, left_out, self.settings.annotators == "people")
            for one, counts in zip(made, counted, strict=True):
                self._release(self.code[one.task], worker)
                if counts:
                    self._apply(one)
            for (task, _), counts in zip(skips, skipped, strict=True):
                self._release(task, worker)
                self._met(worker, task)
                self.skips[task] += counts
                self.this_round += counts
            self.changed.notify_all()
        found = iter(counted)
        return [next(found) if is_paid else None for is_paid in are_paid]

    def refresh(self) -> None:
        """Infer what is right anew, from the answers of all who are not eliminated."""
        with self.changed:
            given: list[Answer | Given] = [*self.answers, *self.earlier]
            self.belief = believe(self.settings, self.items, given, frozenset(self.eliminated), self.known)
            self.counts[:] = 0
            for one in self.answers:
                self.counts[self.code[one.task]] += one.worker not in self.eliminated

    def progress(self) -> Facts:
        """How far it is: items, those that are done, answers."""
        with self.changed:
            labelled = self.items.golden == UNKNOWN
            return {
                "items_in_all": int(labelled.sum()),
                "done": int((labelled & (self.needs() == 0)).sum()),
                "answers": len(self.answers),
                "finished": self.finished,
            }

    # --- within

    def _payable(self) -> int:
        """Answers that the budgets still allow, those under way among them."""
        settings, left = self.settings, sys.maxsize
        if settings.budget is not None:
            left = settings.budget - len(self.answers)
        if settings.answer_price and settings.max_cost is not None and settings.annotators != "llm":
            left = min(left, math.floor((settings.max_cost - self.cost) / settings.answer_price + 1e-9))
        return left

    def _are_paid(self, worker: str, tasks: Sequence[int]) -> list[bool]:
        """Of each item whether the budgets pay this worker's answer to it, or have paid one already."""
        self._expire()
        payable, left, found = self._payable(), self.left(), []
        for task in tasks:
            again, in_hand = (task, worker) in self.answered, (task, worker) in self.in_hand
            is_paid = again or (payable if in_hand else left) > 0
            payable -= is_paid and not again
            left -= is_paid and not again and not in_hand
            found.append(is_paid)
        return found

    def _free(self, worker: str, among: np.ndarray | None) -> np.ndarray:
        """Items that a worker may be given, bool (items,)."""
        if worker in self.eliminated:
            return np.zeros(len(self.items), dtype=bool)
        free = self.wanted() > 0
        free[list(self._worker(worker).tasks)] = False
        if among is not None:
            free[np.setdiff1d(np.arange(len(free)), among)] = False
        return free

    def _choose(self, worker: str, free: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
        """Of the items that a worker may be given those that the strategy says, best first."""
        belief = self.belief
        return choose(
            self.settings.strategy,
            belief.posterior,
            self.counts,
            free,
            belief.confusion(worker),
            count,
            random,
        )

    def _apply(self, one: Answer) -> None:
        """An answer as it comes."""
        self._count(one)
        task, label = self.code[one.task], self.label_code[one.label]
        self.this_round += 1
        if one.worker in self.eliminated:
            return
        if self._fails(one.worker):
            self.eliminated.add(one.worker)
            self.refresh()
            return
        self.counts[task] += 1
        if self.known[task] == UNKNOWN:
            self.belief.see(task, one.worker, label)

    def _count(self, one: Answer) -> None:
        task = self.code[one.task]
        self.answers.append(one)
        self.answered.add((task, one.worker))
        self.cost += one.cost
        worker = self._met(one.worker, task)
        worker.answers += 1
        if (right := self.items.golden[task]) != UNKNOWN:
            worker.tried += 1
            worker.right += int(right == self.label_code[one.label])

    def _fails(self, name: str) -> bool:
        worker, settings = self.workers[name], self.settings
        bound = upper_bound(np.array([worker.right]), np.array([worker.tried]), settings.eliminate_confidence)
        return bool(bound[0] < settings.eliminate_below)

    def _golden(
        self, worker: str, count: int, among: np.ndarray | None, random: np.random.Generator
    ) -> np.ndarray:
        """Golden items to be among the next of a worker."""
        mine = self._worker(worker)
        wanted = golden_due(self.settings, len(mine.tasks) + count, worker) - mine.golden
        free = self.items.golden != UNKNOWN
        free[list(mine.tasks)] = False
        places = np.flatnonzero(free)
        if among is not None:
            places = np.intersect1d(places, among)
        return random.permutation(places)[: max(0, min(wanted, count - 1 if count > 1 else count))]

    def _worker(self, name: str) -> Worker:
        return self.workers.setdefault(name, Worker())

    def _met(self, name: str, task: int) -> Worker:
        """A worker who was given an item, or has said something of it, and is not given it again."""
        mine = self._worker(name)
        if task not in mine.tasks:
            mine.tasks.add(task)
            mine.golden += int(self.items.golden[task] != UNKNOWN)
        return mine

    def _take(self, worker: str, task: int, until: float) -> None:
        self._met(worker, task)
        self.under_way[task] += (task, worker) not in self.in_hand
        self.in_hand[task, worker] = until
        self._soonest = min(self._soonest, until)

    def _release(self, task: int, worker: str) -> None:
        self.under_way[task] -= (task, worker) in self.in_hand
        self.in_hand.pop((task, worker), None)

    def _expire(self) -> None:
        """What was not answered in time may be given to another, or to the same again."""
        now = self.store.clock()
        if now < self._soonest:
            return
        for task, worker in [key for key, until in self.in_hand.items() if until <= now]:
            self._release(task, worker)
            mine = self._worker(worker)
            mine.tasks.discard(task)
            mine.golden -= int(self.items.golden[task] != UNKNOWN)
        self._soonest = min(self.in_hand.values(), default=math.inf)


@contextmanager
def opened(run: Path, settings: AnnotateSettings, round: int) -> Iterator[Campaign]:
    """The campaign of a run, as it stands."""
    with CampaignStore(run / STORE) as store:
        yield Campaign(settings, items_of(settings), store, round)
