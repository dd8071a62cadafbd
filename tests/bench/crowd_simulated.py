"""Items with features whose answers are simulated by real crowds: the crowds that were recorded left answers without texts.

Of a recorded crowd each worker's confusion matrix is fitted on its right labels, and how many answers he gave is kept: workers come
to a simulated item with chances in proportion to it. Items have more classes than `dog` has labels: every class takes after a label
of the recording, the same one for all workers, and errors go to as many other classes as the recording has labels besides it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from tasks.crowd.answers import Answers, answers_of
from tasks.run.seeds import generator
from tests.bench.noisy_labels import documents
from tests.bench.targets import MIXED, SHARED

CROWDS = SHARED / "crowd"


@dataclass(frozen=True, slots=True)
class Crowd:
    """Workers as they were recorded.

    Args:
        confusion: (workers, labels true, labels given).
        share: of all answers that were theirs, (workers,).
    """

    confusion: np.ndarray
    share: np.ndarray


@dataclass(frozen=True, slots=True)
class Task:
    """Items, some to be answered and others that judge.

    Args:
        values, test_values: float32 (n, d), mean 0 over all items to be answered.
        labels, test_labels: right, int64.
    """

    values: np.ndarray
    labels: np.ndarray
    test_values: np.ndarray
    test_labels: np.ndarray
    classes: int


def digits() -> Task:
    """scikit-learn's 1,797 images of 8 x 8, ten classes; a third of them judges."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    return _split((values / 16).astype(np.float32), labels.astype(np.int64))


def corpus() -> Task:
    """1,500 documents of the shared mixture by source, 17 classes, LSA; a third of them judges."""
    return _split(*documents())


def others() -> Task:
    """As `corpus`, but of 1,500 other documents: what is tried is tried on these."""
    return _split(*documents(1))


def halves() -> Task:
    """The same documents in two classes, each of every other source in the order of their names."""
    values, labels = documents()
    return _split(values, labels % 2)


def _split(values: np.ndarray, labels: np.ndarray) -> Task:
    """The same test part whatever the seed."""
    order = generator(0, "split").permutation(len(values))
    train, test = np.split(order, [2 * len(values) // 3])
    mean, scale = values[train].mean(axis=0), values[train].std()
    near, far = (((values[rows] - mean) / scale).astype(np.float32) for rows in (train, test))
    return Task(near, labels[train], far, labels[test], int(labels.max()) + 1)


DATA: dict[str, tuple[Callable[[], Task], str]] = {
    "digits": (digits, "dog"),
    "corpus": (corpus, "dog"),
    "halves": (halves, "rte"),
    "others": (others, "dog"),
}


def available(name: str) -> bool:
    return (CROWDS / DATA[name][1]).exists() and (name == "digits" or MIXED.exists())


@cache
def recorded(name: str) -> Crowd:
    """A crowd; matrices have one answer of each worker spread over each row like everybody's."""
    given = pd.read_csv(CROWDS / name / "answers.csv", dtype=str)
    truth = pd.read_csv(CROWDS / name / "truth.csv", dtype=str).set_index("task")["truth"]
    given = given[given["task"].isin(truth.index)]
    answers = answers_of(given["task"], given["worker"], given["label"])
    right = pd.Index(answers.labels).get_indexer(truth[answers.tasks])
    labels = len(answers.labels)
    counts = np.zeros((len(answers.workers), labels, labels))
    np.add.at(counts, (answers.worker, right[answers.task], answers.label), 1)
    everybody = counts.sum(axis=0)
    counts += everybody / everybody.sum(axis=1, keepdims=True)
    return Crowd(counts / counts.sum(axis=2, keepdims=True), answers.per_worker / len(answers))


def on_classes(crowd: Crowd, classes: int, seed: int) -> Crowd:
    """The crowd before items of other classes: see the head of this file."""
    labels = crowd.confusion.shape[1]
    if classes == labels:
        return crowd
    random = generator(seed, "classes")
    found = np.zeros((len(crowd.confusion), classes, classes))
    for own in range(classes):
        like = random.integers(labels)
        others = random.choice(np.delete(np.arange(classes), own), labels - 1, replace=False)
        found[:, own, own] = crowd.confusion[:, like, like]
        found[:, own, others] = np.delete(crowd.confusion[:, like], like, axis=1)
    return Crowd(found, crowd.share)


def drawn(labels: np.ndarray, crowd: Crowd, each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Workers and labels of `each` answers, of different workers, that every item would get, int64 (items, each)."""
    random = generator(seed, "answers")
    # The largest of log(u) / share: a draw without replacement in proportion to the shares (Efraimidis and Spirakis, 2006).
    draws = np.log(random.random((len(labels), len(crowd.share)))) / crowd.share
    worker = np.argsort(-draws, axis=1, kind="stable")[:, :each]
    chances = crowd.confusion[worker, labels[:, None]].cumsum(axis=2)
    given = (random.random((*worker.shape, 1)) * chances[..., -1:] > chances).sum(axis=2)
    return worker, given


def taken(
    worker: np.ndarray, given: np.ndarray, count: np.ndarray, classes: int
) -> tuple[Answers, np.ndarray]:
    """The first `count` answers of each item, and the item of each task. Workers have one code whatever is taken."""
    kept = np.arange(worker.shape[1]) < count[:, None]
    item = np.nonzero(kept)[0]
    place, task = np.unique(item, return_inverse=True)
    names = [str(number) for number in range(worker.max() + 1)]
    labels = [str(label) for label in range(classes)]
    return Answers(task, worker[kept], given[kept], [str(one) for one in place], names, labels), place
