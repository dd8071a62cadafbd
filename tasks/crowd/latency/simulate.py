"""A pool of workers at a list of tasks, event by event.

Tasks are published in rounds; a round ends when each of its tasks has as many answers, of different workers, as it needs. Who
is not there at the beginning, or takes the place of another, comes in a Poisson stream. What
shortens it (CLAMShell, VLDB 2015): straggler mitigation, by which a worker who would be idle is given a task that others are still at,
the first answers win, and whoever is still at a finished task is freed and paid; and pool maintenance, by which a worker who is surely
slower than a threshold is replaced by a new one. Of an answer that was cut short only the time until then is known; the test of who is too
slow takes it for that and no more (CLAMShell's TermEst has the same purpose), or else mitigation would hide slow workers from maintenance.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from math import exp, log, pi, sqrt

import numpy as np
from scipy.special import log_ndtr

from tasks.crowd.latency.workers import ServiceModel

_FEWEST = 3  # answers of a worker before he is judged
_SURE = 1.6449  # standard errors of a normal variable that 95 % are below
_LEAST_SPREAD = 1e-3  # of logarithms of times: the test divides by it


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and how.

    Args:
        tasks: in all.
        redundancy: answers that each needs, of different workers.
        pool: workers at once.
        batch: tasks of a round; all at once by default.
        mitigation: give tasks that others are at to who would be idle.
        slowest: seconds; a worker whose median is above it with 95 % confidence is replaced. None: nobody is.
        recruiting: seconds, in the mean, between new workers who come; None: as the model says. Who finds no place empty goes away.
        present: workers who are there at the beginning; None: the whole pool.
    """

    tasks: int
    redundancy: int = 1
    pool: int = 10
    batch: int | None = None
    mitigation: bool = False
    slowest: float | None = None
    recruiting: float | None = None
    present: int | None = None

    def gap(self, model: ServiceModel) -> float:
        """Seconds, in the mean, between new workers."""
        return 3600 / model.arrivals if self.recruiting is None else self.recruiting


@dataclass(frozen=True, slots=True)
class Course:
    """What became of it.

    Args:
        done: when each task was done, seconds, float64 (tasks,).
        rounds: how long each round took, seconds, float64 (rounds,).
        paid: answers that were paid, those that came too late among them.
        replaced: workers who were.
    """

    done: np.ndarray
    rounds: np.ndarray
    paid: int
    replaced: int


@dataclass(slots=True)
class _Worker:
    pace: float
    began: float = 0.0
    answers: int = 0
    score: float = 0.0  # slope of the likelihood in his pace, at the threshold
    information: float = 0.0
    task: int | None = None
    turn: int = 0  # of what he does; an event of another turn is of something he was freed from

    def learn(self, seconds: float, whole: bool, slowest: float, spread: float) -> None:
        """What a time says about him: log-normal, or only that it would have been longer."""
        if seconds <= 0:
            return
        away = (log(seconds) - log(slowest)) / spread
        self.answers += 1
        if whole:
            self.score += away
            self.information += 1
            return
        hazard = exp(-away * away / 2 - log(2 * pi) / 2 - float(log_ndtr(-away)))
        self.score += hazard
        self.information += hazard * (hazard - away)

    @property
    def too_slow(self) -> bool:
        """Rao's score test of a median at the threshold or below."""
        return self.answers >= _FEWEST and self.score > _SURE * sqrt(self.information)


class _Pool:
    """The state of one simulated campaign."""

    def __init__(self, model: ServiceModel, plan: Plan, random: np.random.Generator) -> None:
        self.model, self.plan, self.random = model, plan, random
        present = plan.pool if plan.present is None else plan.present
        self.workers = [_Worker(pace) for pace in model.paces(present, random).tolist()]
        self.idle = list(range(present))
        self.events: list[tuple[float, int, int, int]] = []  # when, order, worker, turn
        self.order = self.paid = self.replaced = 0
        self.now = self.last = 0.0  # last: when the last of those who will come is there
        self.answered = np.zeros(plan.tasks, dtype=np.int64)
        self.at: list[set[int]] = [set() for _ in range(plan.tasks)]
        self.had: list[set[int]] = [set() for _ in range(plan.tasks)]  # workers who answered a task
        self.done = np.full(plan.tasks, np.inf)
        self.short: set[int] = set()  # tasks that somebody was given and that lack others still
        self.fresh = iter(range(0))  # tasks that nobody was given yet
        self.next: int | None = None
        for _ in range(plan.pool - present):
            self._recruit()

    def round(self, tasks: range) -> None:
        """Until all of these tasks are done."""
        left = set(tasks)
        self.fresh = iter(tasks)
        self.next = next(self.fresh)
        self._assign(left)
        while left:
            if not self.events:
                raise RuntimeError("a task is left that nobody may answer")
            self.now, _, worker, turn = heappop(self.events)
            one = self.workers[worker]
            if turn != one.turn:
                continue  # he was freed from this
            if one.task is None:  # a new worker has come
                self.idle.append(worker)
            else:
                self._answer(worker, left)
            self._assign(left)

    def _answer(self, worker: int, left: set[int]) -> None:
        task = self._stop(worker, whole=True)
        self.had[task].add(worker)
        self.answered[task] += 1
        if self.answered[task] == self.plan.redundancy:
            self.done[task] = self.now
            left.discard(task)
            for late in sorted(self.at[task]):
                self._stop(late, whole=False)

    def _stop(self, worker: int, whole: bool) -> int:
        """He is paid, and may have another task or is replaced. Returns the task that he was at."""
        one = self.workers[worker]
        assert one.task is not None
        task, one.task = one.task, None
        one.turn += 1
        self.at[task].discard(worker)
        self.paid += 1
        if self.plan.slowest is not None:
            spread = max(self.model.within, _LEAST_SPREAD)
            one.learn(self.now - one.began, whole, self.plan.slowest, spread)
            if one.too_slow:
                self.replaced += 1
                self._recruit()
                return task
        self.idle.append(worker)
        return task

    def _recruit(self) -> None:
        """A place is empty: the next of the stream takes it who takes no other."""
        self.workers.append(_Worker(float(self.model.paces(1, self.random)[0])))
        self.last = max(self.last, self.now) + float(self.random.exponential(self.plan.gap(self.model)))
        self._later(len(self.workers) - 1, self.last - self.now)

    def _assign(self, left: set[int]) -> None:
        waiting = []
        for worker in self.idle:
            task = self._task_for(worker, left)
            if task is None:
                waiting.append(worker)
                continue
            self._give(task, worker)
        self.idle = waiting

    def _give(self, task: int, worker: int) -> None:
        one = self.workers[worker]
        one.task, one.began = task, self.now
        self.at[task].add(worker)
        if task == self.next:
            self.next = next(self.fresh, None)
        if self._lacking(task) > 0:
            self.short.add(task)
        else:
            self.short.discard(task)
        self._later(worker, one.pace * float(np.exp(self.model.within * self.random.standard_normal())))

    def _lacking(self, task: int) -> int:
        """Answers that nobody is at; below 0 with more workers at it than it needs."""
        return self.plan.redundancy - int(self.answered[task]) - len(self.at[task])

    def _task_for(self, worker: int, left: set[int]) -> int | None:
        """A task that lacks somebody; with mitigation else the one with the fewest at it. The first in order of ties."""
        short = min((task for task in self.short if worker not in self.had[task]), default=self.next)
        if short is not None or not self.plan.mitigation:
            return short
        # Nobody lacks, so that all that are left are being worked at: not more than there are workers.
        own = (task for task in left if worker not in self.had[task])
        return min(own, key=lambda task: (-self._lacking(task), task), default=None)

    def _later(self, worker: int, seconds: float) -> None:
        self.order += 1
        heappush(self.events, (self.now + seconds, self.order, worker, self.workers[worker].turn))


def simulate(model: ServiceModel, plan: Plan, random: np.random.Generator) -> Course:
    """One campaign.

    Raises:
        ValueError: fewer workers than a task needs answers.
    """
    if plan.pool < plan.redundancy:
        raise ValueError(f"{plan.redundancy} answers a task need as many workers; the pool has {plan.pool}")
    pool = _Pool(model, plan, random)
    batch = plan.batch or plan.tasks
    rounds = []
    for first in range(0, plan.tasks, batch):
        began = pool.now
        pool.round(range(first, min(first + batch, plan.tasks)))
        rounds.append(pool.now - began)
    return Course(pool.done, np.array(rounds), pool.paid, pool.replaced)
