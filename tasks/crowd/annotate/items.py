"""What is to be labelled, what is known of it already, and files of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from tasks.corpus.formats import Record, cell_text, given_with, listed, whole_records
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.answers import LABEL, TASK, WORKER
from tasks.crowd.read import known_labels, mark_of
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.records import BadInput
from tasks.storage.sheets import from_text

LONGEST_NAME = 200  # characters of an annotator's name


@dataclass(frozen=True, eq=False)  # one is itself alone, so that it can be looked up by
class Items:
    """What is to be labelled.

    Args:
        ids: unique, in the file's order.
        fields: names of the texts that are shown.
        texts: of each item, one for each field.
        golden: code of the label where it is known, int64 (n,), UNKNOWN elsewhere.
        truth: the same, of what judges the result.
    """

    ids: list[str]
    fields: list[str]
    texts: list[tuple[str, ...]]
    golden: np.ndarray
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def shown(self, code: int) -> list[tuple[str, str]]:
        """Name and text of what is shown of an item; without its name where there is only one."""
        if len(self.fields) == 1:
            return [("", self.texts[code][0])]
        return [(name, text) for name, text in zip(self.fields, self.texts[code], strict=True) if text]

    def as_text(self, code: int) -> str:
        """The same, as one text."""
        return "\n".join(f"{name}: {text}" if name else text for name, text in self.shown(code))


@dataclass(frozen=True, slots=True)
class Given:
    """An answer out of a file, with where it stands."""

    task: str
    worker: str
    label: str
    place: str


def items_of(settings: AnnotateSettings) -> Items:
    """The items of a run.

    Raises:
        BadInput: one line: which file, which line, what to do.
    """
    given = [("--items", settings.items), ("--golden", settings.golden), ("--truth", settings.truth)]
    return _items(
        settings.items,
        settings.id_column,
        tuple(settings.text),
        tuple(settings.labels),
        settings.golden,
        settings.truth,
        mark_of((flag, name) for flag, name in given if name),
    )


@lru_cache(maxsize=2)
def _items(
    name: str,
    id_column: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    golden: str,
    truth: str,
    mark: str,
) -> Items:
    ids: dict[str, int] = {}
    fields: list[str] = list(columns)
    texts: list[tuple[str, ...]] = []
    for number, record in records(name, "--items"):
        for option, column in [("--id-column", id_column), *(("--text", column) for column in columns)]:
            if column not in record:
                raise BadInput(
                    f"{option} {column}: {name}:{number} has no such column; it has: {listed(record)}"
                )
        fields = fields or [str(column) for column in record if column != id_column]
        id = cell_text(record[id_column])
        if not id:
            raise BadInput(f"{name}:{number}: the {id_column} is empty; give every item one")
        if id in ids:
            raise BadInput(f"{name}:{number}: the {id_column} {id} stands there twice; make ids unique")
        ids[id] = number
        texts.append(tuple(_text(record.get(field)) for field in fields))
        if not any(text.strip() for text in texts[-1]):
            raise BadInput(f"{name}:{number}: no text in {', '.join(fields) or 'it'}; take the line out")
    if not ids:
        raise BadInput(f"--items {name}: no rows in it")
    known = _known(golden, "--golden", list(ids), labels)
    judging = _known(truth, "--truth", list(ids), labels)
    judging[known != UNKNOWN] = UNKNOWN  # what steers does not judge
    if (known != UNKNOWN).all():
        raise BadInput(f"--golden {golden}: it knows every item; there is nothing to label")
    return Items(list(ids), fields, texts, known, judging)


def _known(name: str, flag: str, ids: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Labels that are known, of some items."""
    found = np.full(len(ids), UNKNOWN, dtype=np.int64)
    place = {id: code for code, id in enumerate(ids)}
    code = {label: at for at, label in enumerate(labels)}
    known = known_labels(name, TASK, flag) if name else {}
    for task, label in known.items():
        if label not in code:
            raise BadInput(
                f"{flag} {name}: task {task[:80]} has the label {label[:40]}, which is none of --labels: {listed(labels)}"
            )
        if task in place:
            found[place[task]] = code[label]
    if known and (found == UNKNOWN).all():
        raise BadInput(f"{flag} {name}: none of its tasks is an id of --items")
    return found


def read_answers(names: Sequence[str], items: Items, labels: Sequence[str]) -> Iterator[Given]:
    """The answers of files with columns task, worker and label; rows without worker and label are still wanted ones.

    Raises:
        BadInput: a column is missing, half an answer, or a task or label that is not known.
    """
    known = set(items.ids)
    for one in _given(names, labels, "--answers"):
        task = one.task if one.task in known else from_text(one.task)  # as wanted.csv has it
        if task not in known:
            raise BadInput(f"{one.place}: the task {one.task or '(empty)'} is no id of the items")
        yield replace(one, task=task)


def _given(names: Sequence[str], labels: Sequence[str], flag: str) -> Iterator[Given]:
    """The answers of files, whatever they are to."""
    possible = set(labels)
    for name in names:
        for number, record in records(name, flag):
            for column in (TASK, WORKER, LABEL):
                if column not in record:
                    raise BadInput(f"{name}: no column {column}; it has: {listed(record)}")
            place = f"{name}:{number}"
            task, worker, label = (cell_text(record[column]) for column in (TASK, WORKER, LABEL))
            if not label:
                continue
            if not worker:
                raise BadInput(f"{place}: a label without a worker; write who gave it")
            if len(worker) > LONGEST_NAME:
                raise BadInput(
                    f"{place}: the worker's name has {len(worker)} characters, {LONGEST_NAME} at most"
                )
            if label not in possible:
                raise BadInput(f"{place}: the label is {label}, which is none of --labels: {listed(labels)}")
            yield Given(task, worker, label, place)


def earlier_answers(settings: AnnotateSettings, items: Items) -> list[Given]:
    """Answers to other items, of --earlier.

    Raises:
        BadInput: as `read_answers`, or a task is one of the items.
    """
    mark = mark_of(("--earlier", name) for name in settings.earlier)
    return _earlier(items, tuple(settings.earlier), tuple(settings.labels), mark)


@lru_cache(maxsize=2)
def _earlier(items: Items, names: tuple[str, ...], labels: tuple[str, ...], mark: str) -> list[Given]:
    found, known = list(_given(names, labels, "--earlier")), set(items.ids)
    for one in found:
        if one.task in known:
            raise BadInput(
                f"{one.place}: the task {one.task} is an id of the items; --earlier is of other items"
            )
    return found


def records(name: str, flag: str) -> Iterator[tuple[int, Record]]:
    """The records of a file, with their lines.

    Raises:
        BadInput: there is no such file, or a line of it cannot be read.
    """
    with given_with(flag):
        yield from whole_records(name)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
