"""A pool of workers at a list of tasks, event by event.

Tasks are published in rounds; a round ends when each of its tasks has as many answers, of different workers, as it needs. What
shortens it (CLAMShell, VLDB 2015): straggler mitigation, by which a worker who would be idle is given a task that others are still at,
the first answers win, and whoever is still at a finished task is freed and paid; and pool maintenance, by which a worker who is surely
slower than a threshold is replaced by a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from scipy.stats import t

from tasks.crowd.latency.workers import ServiceModel

_FEWEST = 3  # answers of a worker before he is judged


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and how.

    Args:
        tasks: in all.
        redundancy: answers that each needs, of different workers.
        pool: workers at once.
        batch: tasks of a round; all at once by default.
        mitigation: give tasks that others are at to who would be idle.
        slowest: seconds; a worker whose mean (of logarithms) is above it with 95 % confidence is replaced. None: nobody is.
        recruiting: seconds, in the mean, until a new worker is there.
    """

    tasks: int
    redundancy: int = 1
    pool: int = 10
    batch: int | None = None
    mitigation: bool = False
    slowest: float | None = None
    recruiting: float = 60.0


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
    logs: list[float] = field(default_factory=list)
    task: int | None = None
    turn: int = 0  # of what he does; an event of another turn is of something he was freed from


class _Pool:
    """The state of one simulated campaign."""

    def __init__(self, model: ServiceModel, plan: Plan, random: np.random.Generator) -> None:
        self.model, self.plan, self.random = model, plan, random
        self.workers = [_Worker(pace) for pace in model.paces(plan.pool, random).tolist()]
        self.idle = list(range(plan.pool))
        self.events: list[tuple[float, int, int, int]] = []  # when, order, worker, turn
        self.order = self.paid = self.replaced = 0
        self.now = 0.0
        self.answered = np.zeros(plan.tasks, dtype=np.int64)
        self.at: list[set[int]] = [set() for _ in range(plan.tasks)]
        self.had: list[set[int]] = [set() for _ in range(plan.tasks)]  # workers who answered a task
        self.done = np.full(plan.tasks, np.inf)

    def round(self, tasks: range) -> None:
        """Until all of these tasks are done."""
        left = set(tasks)
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
        one = self.workers[worker]
        assert one.task is not None
        task, one.task = one.task, None
        one.turn += 1
        self.at[task].discard(worker)
        self.had[task].add(worker)
        self.answered[task] += 1
        self.paid += 1
        self._free(worker)
        if self.answered[task] == self.plan.redundancy:
            self.done[task] = self.now
            left.discard(task)
            for late in sorted(self.at[task]):
                self.workers[late].task = None
                self.workers[late].turn += 1
                self.paid += 1
                self._free(late)
            self.at[task].clear()

    def _free(self, worker: int) -> None:
        """He may have another task, or is replaced."""
        if not self._too_slow(self.workers[worker]):
            self.idle.append(worker)
            return
        self.replaced += 1
        self.workers.append(_Worker(float(self.model.paces(1, self.random)[0])))
        wait = float(self.random.exponential(self.plan.recruiting)) if self.plan.recruiting else 0.0
        self._later(len(self.workers) - 1, wait)

    def _too_slow(self, one: _Worker) -> bool:
        """Whether his mean of logarithms is above the threshold's with 95 % confidence (Student's t)."""
        if self.plan.slowest is None or len(one.logs) < _FEWEST:
            return False
        logs = np.array(one.logs)
        error = max(float(logs.std(ddof=1)), 1e-9) / np.sqrt(len(logs))
        return float((logs.mean() - np.log(self.plan.slowest)) / error) > float(t.ppf(0.95, len(logs) - 1))

    def _assign(self, left: set[int]) -> None:
        waiting = []
        for worker in self.idle:
            task = self._task_for(worker, left)
            if task is None:
                waiting.append(worker)
                continue
            one = self.workers[worker]
            one.task = task
            self.at[task].add(worker)
            seconds = one.pace * float(np.exp(self.model.within * self.random.standard_normal()))
            one.logs.append(float(np.log(seconds)))
            self._later(worker, seconds)
        self.idle = waiting

    def _task_for(self, worker: int, left: set[int]) -> int | None:
        """A task that lacks somebody; with mitigation else the one with the fewest at it. The first in order of ties."""
        own = [task for task in left if worker not in self.had[task]]
        missing = {task: self.plan.redundancy - int(self.answered[task]) for task in own}
        short = [task for task in own if len(self.at[task]) < missing[task]]
        if short:
            return min(short)
        if not self.plan.mitigation or not own:
            return None
        return min(own, key=lambda task: (len(self.at[task]) - missing[task], task))

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
