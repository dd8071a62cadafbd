"""Examples of a task out of a file of records or out of doctests: what of a record is question and answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from upath import UPath

from tasks.corpus.conversations import Asked, form_of
from tasks.corpus.docstrings import find_files
from tasks.corpus.doctests import read_doctests
from tasks.corpus.formats import (
    PATIENCE,
    Broken,
    Record,
    first_records,
    is_small,
    listed,
    path_of,
    read_records,
    reader_of,
    shown_address,
    storable,
)
from tasks.corpus.normalise import normalise
from tasks.records import BadInput, Example, Reject


@dataclass(frozen=True, slots=True)
class ExampleFields:
    """Where the question and the answer of an item are, or else its text; `texts` is empty where items may not be texts."""

    question: str
    answer: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file's items are read: to question and answer, or to no question and a text."""

    asked: Asked
    is_text: bool = False


def read_examples(name: str, fields: ExampleFields, reject: Callable[[Reject], None]) -> list[Example]:
    """The examples of a file or of doctests, each once.

    Args:
        reject: called for every item that is none.

    Raises:
        BadInput: a file that is missing or damaged, a wrong field name, or no examples.
    """
    if name.startswith("doctest:"):
        examples = list(_distinct(read_doctests(_modules(name), reject), reject))
        if not examples:
            raise BadInput(f"{name}: no doctests with an output in these modules")
        return examples
    path = _path(name)
    label, place = storable(path.name), shown_address(path)
    records: list[tuple[int, Record]] = []
    broken: list[str] = []
    for number, record in read_records(path):
        if isinstance(record, Broken):
            detail = f"{place}:{number}: {record.detail}"
            broken.append(f"{detail} ({record.reason})")
            reject(Reject("target", record.reason, f"{label}:{number}", detail))
        else:
            records.append((number, record))
    if not records:
        why = f": none of {len(broken)} records can be read, first {broken[0]}" if broken else ""
        raise BadInput(f"{name}: no examples in this file{why}")
    form = _form(name, [record for _, record in records], fields)
    examples = list(_distinct(_examples(label, place, records, form, reject), reject))
    if not examples:
        wanted = "a text" if form.is_text else "a question and an answer"
        raise BadInput(f"{name}: none of its {len(records)} items has {wanted}; fill them in")
    return examples


def look_at_examples(name: str, fields: ExampleFields) -> bool:
    """Checks of examples what can be known in a moment, by the head of their file. Returns whether all are read in another.

    Raises:
        BadInput: a file is missing or of an unknown kind, a field is wrongly named, a package is not installed.
    """
    if name.startswith("doctest:"):
        for module in filter(None, map(str.strip, _modules(name).split(","))):
            find_files(module, "doctest")
        return False
    path = _path(name)
    _form(name, list(first_records(path, PATIENCE)), fields)
    return is_small(path)


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
        key = example_key(example)
        if key in first_with:
            reject(Reject("target", "duplicate", example.id, f"same as {first_with[key]}"))
        else:
            first_with[key] = example.id
            yield example


def _form(name: str, records: Sequence[Record], fields: ExampleFields) -> _Form:
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


def example_key(example: Example) -> tuple[str, str]:
    return folded(example.question), folded(example.answer)


def folded(text: str) -> str:
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
