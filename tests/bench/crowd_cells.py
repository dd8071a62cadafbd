"""What the bench of learning from crowds measures: a cell each, by data, setting, method and seed."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tasks.crowd.learn.joint import expected_counts, prior_of
from tasks.crowd.learn.methods import METHODS, by_dawid_skene, entropy, infer_jointly, probabilities, train
from tasks.crowd.learn.network import fit, log_probabilities
from tasks.crowd.learn.problem import Problem
from tasks.run.seeds import generator, integer
from tests.bench.crowd_simulated import DATA, Task, drawn, on_classes, recorded, taken

Row = dict[str, Any]
MOST = 8  # answers drawn for every item
TRUTH = "truth"
ANSWERED, EACH = 200, 3  # items answered where most are not
FIRST, BATCH, ROUNDS = 200, 300, 3  # answers asked for in the replay


@cache
def task_of(data: str) -> Task:
    return DATA[data][0]()


@cache
def _drawn(data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    task = task_of(data)
    return drawn(task.labels, on_classes(recorded(DATA[data][1]), task.classes, seed), MOST, seed)


def problem_of(data: str, count: np.ndarray, seed: int, rows: np.ndarray | None = None) -> Problem:
    """The items of a data set, or some of them, with the first `count` answers of each."""
    task = task_of(data)
    rows = np.arange(len(task.labels)) if rows is None else rows
    worker, given = _drawn(data, seed)
    answers, place = taken(worker[rows], given[rows], count, task.classes)
    return Problem(np.ascontiguousarray(task.values[rows]), answers, place, seed=seed)


def methods(data: str, each: int, method: str, seed: int) -> Row:
    """Every item has `each` answers: accuracy of the items' labels, and of a model on the test items."""
    task = task_of(data)
    problem = problem_of(data, np.full(len(task.labels), each), seed)
    began = time.process_time()
    if method == TRUTH:
        right = np.eye(task.classes)[task.labels]
        network = fit(problem.values, right, integer(seed, "model"), problem.trained(len(right)))
        labels = None
    else:
        learned = METHODS[method](problem)
        network, labels = train(problem, learned), accuracy(learned.posterior, task.labels)
    cpu = time.process_time() - began
    return {"labels": labels, "test": tested(task, network), "cpu": cpu}


def semi(data: str, way: str, method: str, seed: int) -> Row:
    """200 items have three answers each, and the others none: what becomes of the others."""
    task = task_of(data)
    chosen = generator(seed, "semi").permutation(len(task.labels))[:ANSWERED]
    count = np.zeros(len(task.labels), np.int64)
    count[chosen] = EACH
    problem = problem_of(data, count, seed)
    learned = METHODS[method](problem)
    return {"test": tested(task, train(problem, learned, way))}


def transfer(data: str, each: int, method: str, seed: int) -> Row:
    """The same workers answered other items before (half of all, three answers each, without right labels): with and without that."""
    task = task_of(data)
    _, now = np.array_split(generator(seed, "transfer").permutation(len(task.labels)), 2)
    second = problem_of(data, np.full(len(now), each), seed, now)
    known = replace(second, prior=prior_of(_before(data, seed)[: len(second.answers.workers)]))
    found = {}
    for name, problem in (("without", second), ("with", known)):
        learned = METHODS[method](problem)
        found[name] = accuracy(learned.posterior, task.labels[now])
        found[f"{name}, test"] = tested(task, train(problem, learned))
    return found


@cache
def _before(data: str, seed: int) -> np.ndarray:
    """What the campaign before knows of workers, and 0 for those that were not in it."""
    task = task_of(data)
    before, _ = np.array_split(generator(seed, "transfer").permutation(len(task.labels)), 2)
    first = problem_of(data, np.full(len(before), EACH), seed, before)
    counts = np.zeros((len(recorded(DATA[data][1]).share), task.classes, task.classes))
    found = expected_counts(first.answers, infer_jointly(first).posterior)
    counts[: len(found)] = found
    return counts


def asking(data: str, strategy: str, seed: int) -> Row:
    """One answer at a time for the items that a strategy is least sure of, in batches; judged after each by the same method."""
    task = task_of(data)
    count = np.zeros(len(task.labels), np.int64)
    count[generator(seed, "asking").permutation(len(count))[:FIRST]] = 1
    rows = []
    for number in range(ROUNDS + 1):
        problem = problem_of(data, count, seed)
        learned = infer_jointly(problem)
        network = train(problem, learned)
        everything = probabilities(problem, learned, network)
        rows.append(
            {
                "answers": int(count.sum()),
                "labels": accuracy(everything, task.labels),
                "test": tested(task, network),
            }
        )
        score = _score(strategy, problem, everything, generator(seed, "asking", number))
        score[count == MOST] = -np.inf
        count[np.argsort(-score, kind="stable")[:BATCH]] += 1
    return {"rounds": rows}


def _score(
    strategy: str, problem: Problem, everything: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    ties = random.random(len(problem.values)) * 1e-6
    if strategy == "random":
        return ties
    if strategy == "model and crowd":
        return entropy(everything) + ties
    crowd = np.full_like(everything, 1 / everything.shape[1])
    crowd[problem.place] = by_dawid_skene(problem).posterior
    if strategy == "crowd":
        return entropy(crowd) + ties
    raise ValueError(strategy)


STRATEGIES = ("random", "crowd", "model and crowd")


def accuracy(found: np.ndarray, labels: np.ndarray) -> float:
    return float((found.argmax(axis=1) == labels).mean())


def tested(task: Task, network: Any) -> float:
    return accuracy(log_probabilities(network, task.test_values), task.test_labels)
