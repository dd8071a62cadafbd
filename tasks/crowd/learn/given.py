"""What there is to learn from: items with features, and the answers to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.classify.table import Columns, Labelled, columns_of, read_labelled
from tasks.crowd.answers import Answers, answers_of, codes_of, in_order
from tasks.crowd.learn.settings import CrowdLearningSettings
from tasks.crowd.read import Known, Table, read_known, read_table
from tasks.records import BadInput, Reject

_LARGEST = 50_000_000  # numbers in all confusion matrices, of which a few copies are held


@dataclass(frozen=True, slots=True)
class Given:
    """What was read.

    Args:
        items: their "labels" are their tasks.
        features: columns of them.
        place: of each task among the items, int64 (tasks,).
        rejected: rows of all files that cannot be used.
    """

    items: Labelled
    features: list[str]
    answers: Answers
    place: np.ndarray
    rejected: list[Reject]


def item_columns(settings: CrowdLearningSettings) -> Columns:
    """The columns that are read of items.

    Raises:
        BadInput: they are not there.
    """
    options = ("--task", "--text")
    return columns_of(
        settings.items, settings.task, settings.text, settings.features, "--items", options, what="task"
    )


def read_given(settings: CrowdLearningSettings) -> Given:
    """The files of a run.

    Raises:
        BadInput: nothing can be learnt from them, or they are not of the same items.
    """
    columns = item_columns(settings)
    items = read_labelled(settings.items, columns, "--items", max_broken=settings.max_broken)
    items, twice = _once(items)
    wanted = [settings.task, settings.worker, settings.label]
    table = read_table(settings.answers, wanted, "--answers", max_broken=settings.max_broken)
    truth = Known({}, [])
    if settings.truth:
        truth = read_known(settings.truth, settings.task, "--truth", settings.max_broken)
        if truth.labels.keys().isdisjoint(items.labels):
            raise BadInput(f"--truth {settings.truth}: none of its tasks is among the items")
    answers, place, unknown = _of_items(table, items.labels, settings)
    rejected = [*items.rejected, *twice, *table.rejected, *unknown, *truth.rejected]
    return Given(items, list(columns.features), answers, place, rejected)


def _once(items: Labelled) -> tuple[Labelled, list[Reject]]:
    """Items whose task has not come before, and what became of the others."""
    first = np.sort(np.unique(np.array(items.labels, dtype=object), return_index=True)[1])
    repeated = np.setdiff1d(np.arange(len(items)), first).tolist()
    rejected = [
        Reject("read items", "task was there before", items.places[at], items.labels[at][:200])
        for at in repeated
    ]
    return items.take(first.tolist()), rejected


def _of_items(
    table: Table, items: list[str], settings: CrowdLearningSettings
) -> tuple[Answers, np.ndarray, list[Reject]]:
    """The answers to these items, the place of each answered one, and what became of the other answers."""
    task, worker, label = table.columns
    known = codes_of(task, items) >= 0
    if not known.any():
        raise BadInput(f"--answers {settings.answers}: none is of an item in {settings.items}; check --task")
    rejected = [
        Reject("read answers", "no such item", table.place(row), task[row][:200])
        for row in np.flatnonzero(~known).tolist()
    ]
    task, worker, label = (
        [one for one, used in zip(column, known, strict=True) if used] for column in table.columns
    )
    labels = in_order(list(dict.fromkeys(label)))
    if len(labels) < 2:
        raise BadInput(f"--answers {settings.answers}: all answers are {labels[0][:80]}; nothing to learn")
    if len(labels) > len(set(task)) / 2:
        raise BadInput(
            f"--label {settings.label}: {len(labels)} different labels of {len(set(task))} items answered; "
            "name the column of the class, or give more answers"
        )
    answers = answers_of(task, worker, label, labels)
    if (size := len(answers.workers) * len(labels) ** 2) > _LARGEST:
        raise BadInput(
            f"--answers {settings.answers}: {len(answers.workers):,} workers and {len(labels):,} labels make {size:,} numbers of "
            "confusion matrices; give fewer labels"
        )
    return answers, codes_of(answers.tasks, items), rejected
