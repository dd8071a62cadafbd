"""The examples of the task the user cares about: a reference part that guides, a test part that judges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from upath import UPath

from tasks.corpus.conversations import Asked, form_of
from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.docstrings import find_files
from tasks.corpus.doctests import read_doctests
from tasks.corpus.formats import (
    PATIENCE,
    Broken,
    Record,
    first_records,
    given_with,
    listed,
    path_of,
    read_records,
    reader_of,
    shown_address,
    storable,
)
from tasks.corpus.normalise import normalise
from tasks.records import BadInput, Example, Reject
from tasks.run.seeds import generator
from tasks.storage.tables import write_text

_FEWEST = 2  # examples on either side


@dataclass(frozen=True, slots=True)
class Target:
    """Examples of a task, in two parts that share nothing.

    Args:
        reference: what the selection may look at.
        test: what judges, never seen by the selection.
        rejects: items that are in neither.
    """

    reference: list[Example]
    test: list[Example]
    rejects: list[Reject] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Writes reference.jsonl and test.jsonl into a folder."""
        for name, examples in (("reference", self.reference), ("test", self.test)):
            lines = [json.dumps(asdict(example), ensure_ascii=False) + "\n" for example in examples]
            write_text(folder / f"{name}.jsonl", "".join(lines))

    @classmethod
    def load(cls, folder: Path) -> Target:
        """Reads what `save` wrote; rejects are not among it."""

        def examples(name: str) -> list[Example]:
            with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
                return [Example(**json.loads(line)) for line in file]

        return cls(examples("reference"), examples("test"))


def read_target(
    target: str,
    test: str = "",
    *,
    test_share: float = 0.5,
    question_field: str = "question",
    answer_field: str = "answer",
    text_fields: Sequence[str] = (),
    seed: int = 0,
    ngram: int = 13,
    flag: str = "--target",
) -> Target:
    """Reads a target and parts it.

    Args:
        target: path of JSON (lines or an array), CSV or Parquet, or "doctest:MODULE,..."; with the two fields, or in one of
            the forms of `tasks.corpus.conversations`.
        test: the same, for the examples that judge; empty to draw them from the target.
        test_share: share of the target that judges when `test` is empty; groups stay whole.
        question_field: field of the question; "body+question" joins several.
        answer_field: field of the answer.
        text_fields: fields that may hold the text of an item without question and answer, the first that is there; none where
            examples may not be plain texts. A file is all of one kind.
        seed: of the draw.
        ngram: a reference example that shares this many words in a row with a test example is dropped, as is one with
            the same question.
        flag: that names the target, for messages.

    Raises:
        BadInput: a file that is missing or damaged, a wrong field name, no answers, a test part equal to the reference
            part, or fewer than two examples on either side.
    """
    rejects: list[Reject] = []
    fields = _Fields(question_field, answer_field, tuple(text_fields))
    with given_with(flag):
        reference = _read(target, fields, rejects.append)
    if test:
        with given_with("--test"):
            judging = _read(test, fields, rejects.append)
        if {_key(example) for example in reference} == {_key(example) for example in judging}:
            raise BadInput(f"--test {test}: the same examples as {flag} {target}; a test must hold others")
    else:
        reference, judging = _part(reference, test_share, seed)
    reference = _without_overlap(reference, judging, ngram, rejects.append)
    if len(reference) < _FEWEST:
        overlapping = sum(reject.reason == "overlaps the test part" for reject in rejects)
        why = f" ({overlapping} overlap the test part)" if overlapping else ""
        raise BadInput(
            f"{flag} {target}: {len(reference)} examples left to guide the selection{why}; give more"
        )
    if len(judging) < _FEWEST:
        raise BadInput(
            f"{test or target}: {len(judging)} examples to judge by; give more, or a larger --test-share"
        )
    return Target(reference, judging, rejects)


def check_target(
    target: str,
    test: str = "",
    *,
    question_field: str = "question",
    answer_field: str = "answer",
    text_fields: Sequence[str] = (),
    flag: str = "--target",
) -> None:
    """What can be found wrong with a target in a moment: missing files, unknown kinds, wrong field names.

    Raises:
        BadInput: the first problem.
    """
    for given, name in ((flag, target), ("--test", test)):
        if not name and given == "--test":
            continue
        with given_with(given):
            if name.startswith("doctest:"):
                for module in filter(None, map(str.strip, _modules(name).split(","))):
                    find_files(module, "doctest")
                continue
            path = _path(name)
            records = list(first_records(path, PATIENCE))
            _form(name, records, _Fields(question_field, answer_field, tuple(text_fields)))


@dataclass(frozen=True, slots=True)
class _Fields:
    """Where the question and the answer of an item are, or else its text; `texts` is empty where items may not be texts."""

    question: str
    answer: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file's items are read: to question and answer, or to no question and a text."""

    asked: Asked
    is_text: bool = False


def _read(name: str, fields: _Fields, reject: Callable[[Reject], None]) -> list[Example]:
    if name.startswith("doctest:"):
        examples = list(_distinct(read_doctests(_modules(name), reject), reject))
        if not examples:
            raise BadInput(f"{name}: no doctests with an output in these modules")
        return examples
    path = _path(name)
    label, place = storable(path.name), shown_address(path)
    records: list[tuple[int, Record]] = []
    for number, record in read_records(path):
        if isinstance(record, Broken):
            detail = f"{place}:{number}: {record.detail}"
            reject(Reject("target", record.reason, f"{label}:{number}", detail))
        else:
            records.append((number, record))
    if not records:
        raise BadInput(f"{name}: no examples in this file")
    form = _form(name, [record for _, record in records], fields)
    examples = list(_distinct(_examples(label, place, records, form, reject), reject))
    if not examples:
        wanted = "a text" if form.is_text else "a question and an answer"
        raise BadInput(f"{name}: none of its {len(records)} items has {wanted}")
    return examples


def _examples(
    label: str,
    place: str,
    records: Sequence[tuple[int, Record]],
    form: _Form,
    reject: Callable[[Reject], None],
) -> Iterator[Example]:
    """Examples of records; a text is an answer to no question."""
    taken: set[str] = set()
    for number, record in records:
        own, line = record.get("id"), f"{label}:{number}"
        id = storable(str(own)) if isinstance(own, str | int) and str(own) else line
        id = line if id in taken else id
        taken.add(id)
        question, answer = form.asked(record)
        if answer and (question or form.is_text):
            yield Example(id, question, answer, storable(str(record.get("group") or id)))
        else:
            missing = "text" if form.is_text else "answer" if question else "question"
            reject(Reject("target", f"no {missing}", id, f"{place}:{number}"))


def _distinct(examples: Iterable[Example], reject: Callable[[Reject], None]) -> Iterator[Example]:
    first_with: dict[tuple[str, str], str] = {}
    for example in examples:
        key = _key(example)
        if key in first_with:
            reject(Reject("target", "duplicate", example.id, first_with[key]))
        else:
            first_with[key] = example.id
            yield example


def _part(examples: list[Example], test_share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Reference and test part; whole groups in random order judge until the share is reached."""
    sizes: dict[str, int] = {}
    for example in examples:
        sizes[example.group] = sizes.get(example.group, 0) + 1
    groups = list(sizes)
    judging: set[str] = set()
    taken = 0
    for index in generator(seed, "target", "test part").permutation(len(groups)):
        if taken >= test_share * len(examples):
            break
        judging.add(groups[index])
        taken += sizes[groups[index]]
    reference = [example for example in examples if example.group not in judging]
    return reference, [example for example in examples if example.group in judging]


def _without_overlap(
    reference: list[Example], judging: list[Example], ngram: int, reject: Callable[[Reject], None]
) -> list[Example]:
    questions = {_folded(example.question) for example in judging}
    shared = Decontaminator(judging, ngram).overlaps([f"{one.question}\n{one.answer}" for one in reference])
    kept = []
    for example, words in zip(reference, shared, strict=True):
        if example.question and _folded(example.question) in questions:
            reject(Reject("target", "overlaps the test part", example.id, "the same question"))
        elif words is not None:
            reject(Reject("target", "overlaps the test part", example.id, words))
        else:
            kept.append(example)
    return kept


def _form(name: str, records: Sequence[Record], fields: _Fields) -> _Form:
    """How the records of a file are read: by the two fields where they are there, as instruction data, or as texts.

    Raises:
        BadInput: they are none of these.
    """
    known = dict.fromkeys(str(key) for record in records for key in record)
    options = (("--question-field", fields.question), ("--answer-field", fields.answer))
    missing = [
        (option, wanted)
        for option, wanted in options
        if known and wanted not in known and any(part not in known for part in wanted.split("+"))
    ]
    if missing and (asked := form_of(known)) is not None:
        return _Form(asked)
    text = next((name for name in fields.texts if name in known), None)
    if len(missing) == len(options) and text:
        return _Form(lambda record: ("", _value(record, text)), is_text=True)
    for option, wanted in missing:
        or_text = ", or --text-field if they are texts" if fields.texts else ""
        raise BadInput(
            f"{name}: no item has the field {wanted}; it has: {listed(known)}; set {option}{or_text}"
        )
    return _Form(lambda record: (_value(record, fields.question), _value(record, fields.answer)))


def _value(record: Record, name: str) -> str:
    """The text of a field, or of several joined by "+"; empty if there is none."""
    if name not in record and "+" in name:
        return " ".join(filter(None, (_value(record, part) for part in name.split("+"))))
    value: Any = record.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return normalise(str(value)).strip()
    return ""


def _key(example: Example) -> tuple[str, str]:
    return _folded(example.question), _folded(example.answer)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _modules(name: str) -> str:
    modules = name.removeprefix("doctest:")
    if not modules.strip(", "):
        raise BadInput(f"{name}: name the modules, as in doctest:sympy.ntheory,sympy.functions")
    return modules


def _path(name: str) -> UPath:
    path = path_of(name)
    if not path.exists():
        raise BadInput(f"{name}: no such file")
    if path.is_dir() or reader_of(path) is None:
        raise BadInput(f"{name}: give a file of JSON lines, JSON, CSV or Parquet, or doctest:MODULE,...")
    return path
