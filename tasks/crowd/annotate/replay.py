"""Answers that were given before, given again: annotators come as often as they answered then, and are given what the strategy says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.items import Items, items_of, read_answers
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.read import mark_of
from tasks.records import BadInput
from tasks.run.seeds import generator

VISIT = 10  # items that an annotator is given at a time

Recording = dict[str, dict[int, int]]


def collect(run: Path, settings: AnnotateSettings, campaign: Campaign, quota: int) -> None:
    """Answers of this round, up to `quota`; fewer where nobody has said more about what is still open."""
    recording = recording_of(settings)
    for worker, tasks in campaign.open_batches():
        _answer(campaign, recording, worker, tasks)
    while campaign.this_round < quota and not campaign.finished:
        count = min(VISIT, quota - campaign.this_round)
        if not any(_visit(campaign, recording, one, count) for one in _served(campaign, recording, count)):
            return


def recording_of(settings: AnnotateSettings) -> Recording:
    """Code of the label by annotator and code of the item; of repeated answers the first.

    Raises:
        BadInput: something in a file is no answer.
    """
    mark = mark_of(("--answers", name) for name in settings.answers)
    return _recording(items_of(settings), tuple(settings.answers), tuple(settings.labels), mark)


@lru_cache(maxsize=2)
def _recording(items: Items, names: tuple[str, ...], labels: tuple[str, ...], mark: str) -> Recording:
    task_of = {id: code for code, id in enumerate(items.ids)}
    label_of = {label: code for code, label in enumerate(labels)}
    found: Recording = {}
    for one in read_answers(names, items, labels):
        found.setdefault(one.worker, {}).setdefault(task_of[one.task], label_of[one.label])
    if not found:
        raise BadInput(f"--answers {' '.join(names)}: no answers in it")
    return found


def _arrivals(campaign: Campaign, recording: Recording) -> list[str]:
    """Annotators in the order in which they come, those likelier early who have more left to say."""
    names = sorted(recording)
    left = np.array(
        [
            len(recording[name].keys() - campaign.workers[name].tasks)
            if name in campaign.workers
            else len(recording[name])
            for name in names
        ]
    )
    present = np.flatnonzero(left)
    random = generator(campaign.settings.seed, "arrivals", campaign.store.batches())
    # The largest of exponential draws divided by weight: sampling without replacement.
    drawn = random.exponential(size=len(names))[present] / left[present]
    return [names[place] for place in present[np.argsort(drawn, kind="stable")]]


def _served(campaign: Campaign, recording: Recording, count: int) -> Iterator[str]:
    """Annotators in the order in which they are asked: of so many as wait at a time first those who are worth most."""
    come, waiting = _arrivals(campaign, recording), campaign.settings.waiting
    for at in range(0, len(come), waiting):
        group = come[at : at + waiting]
        if waiting > 1:
            group.sort(key=lambda one: -campaign.worth(one, count, _said(recording, one)))
        yield from group


def _visit(campaign: Campaign, recording: Recording, worker: str, count: int) -> bool:
    """Whether the annotator was given something."""
    tasks = campaign.offer(worker, count, among=_said(recording, worker))
    _answer(campaign, recording, worker, tasks)
    return bool(tasks)


def _said(recording: Recording, worker: str) -> np.ndarray:
    """Codes of the items of which an annotator has said something."""
    return np.fromiter(recording[worker], dtype=np.int64)


def _answer(campaign: Campaign, recording: Recording, worker: str, tasks: list[int]) -> None:
    if tasks:
        campaign.accept(worker, [(task, recording[worker][task]) for task in tasks])
