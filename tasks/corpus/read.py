"""Documents out of whatever the user has: files of records, folders of text, data sets, installed packages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from upath import UPath

from tasks.corpus import docstrings, folders, huggingface
from tasks.corpus.formats import (
    JSON,
    PATIENCE,
    Broken,
    Record,
    Row,
    first_records,
    given_with,
    listed,
    read_records,
    shown_address,
    storable,
)
from tasks.corpus.sources import File, Source, fingerprint, resolve
from tasks.records import BadInput, Document, Reject
from tasks.run.parallel import Mapper, serial

__all__ = ["Fields", "check_sources", "fingerprint", "read_documents"]

Rejecter = Callable[[Reject], None]

_SHORTEST_DOCSTRING = 80  # characters; "Return the name." teaches nothing
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_MOST_CONTROL = 0.1  # share of a text above which it is no text


@dataclass(frozen=True, slots=True)
class Fields:
    """Which field or column of a record holds what, and which split of a Hugging Face data set is read."""

    text: str = "text"
    id: str = "id"
    source: str = "source"
    hf_split: str = "train"


@dataclass
class _Named:
    """Fields that a record may lack, by the flag that names them: one other than the default must be in some record.

    Args:
        missing: flag -> field that was in no record yet.
        names: of the fields of the records so far, while some are missing.
    """

    missing: dict[str, str]
    names: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Fields) -> _Named:
        usual = Fields()
        given = {"--id-field": (fields.id, usual.id), "--source-field": (fields.source, usual.source)}
        return cls({flag: name for flag, (name, default) in given.items() if name not in ("", default)})

    def see(self, record: Record) -> None:
        if self.missing:
            self.names.update(dict.fromkeys(record))
            self.missing = {flag: name for flag, name in self.missing.items() if name not in record}

    def check(self) -> None:
        """Raises BadInput when there were records and none had a field."""
        for flag, name in self.missing.items():
            if self.names:
                raise _no_field("--corpus", name, self.names, flag)


def read_documents(
    sources: Sequence[str], fields: Fields, reject: Rejecter, mapper: Mapper = serial
) -> Iterator[Document]:
    """The documents of all sources, in order, one at a time in memory; texts as they stand.

    Args:
        sources: paths (JSON lines, CSV, Parquet, .txt, .md, .html, folders of them, saved data sets; local or with an
            fsspec scheme such as s3://), "hf:NAME[:CONFIG]", or "python:PACKAGE,PACKAGE.SUBPACKAGE,...".
        fields: names of the fields of records.
        reject: called for every record that is no document, with stage "read".
        mapper: parses Python sources, here or on workers.

    Yields:
        Documents; an id that a record does not have is made of file name and line.

    Raises:
        BadInput: a source is missing, damaged as a whole, has no documents, or none of its records has the text field;
            no record of any has the field of ids or of sources, where that is not the default.
    """
    with given_with("--corpus"):
        named, resolved = _Named.of(fields), resolve(sources)
        patience = PATIENCE if len(resolved) == 1 else None  # another source may have the field
        for source in resolved:
            if source.kind == "python":
                yield from _python(source.name, reject, mapper)
            elif source.kind == "hub":
                rows = _seen(huggingface.stream_dataset(source.name, fields.hf_split), named, patience)
                yield from _documents(rows, f"hf:{source.name}", source.label, fields, reject)
            elif source.kind == "saved":
                rows = huggingface.read_saved_dataset(UPath(source.name), fields.hf_split)
                rows = _seen(rows, named, patience)
                yield from _documents(rows, storable(source.name), source.label, fields, reject)
            else:
                yield from _files(source, fields, named, reject)
        named.check()


def _files(source: Source, fields: Fields, named: _Named, reject: Rejecter) -> Iterator[Document]:
    empty = True
    for file in source.files():
        empty = False
        place = shown_address(file.path)
        if file.broken:
            reject(Reject("read", file.broken.reason, file.label, f"{place}: {file.broken.detail}"))
        elif folders.is_text_file(file.path):
            yield from _text_file(file, place, reject)
        else:
            yield from _documents(_seen(read_records(file.path), named), place, file.label, fields, reject)
    if empty:
        raise _no_documents(source.name)


@given_with("--corpus")
def check_sources(sources: Sequence[str], fields: Fields) -> None:
    """What can be found wrong with the sources in a moment, before anything starts.

    Every source must exist and be of a known kind, folders must hold documents, Python packages must be installed, and
    the first records of a file must have the text field. Data sets on the hub are only looked at when they are read, as
    are saved ones.

    Raises:
        BadInput: the first problem.
    """
    named, unread = _Named.of(fields), False
    for source in resolve(sources):
        if source.kind == "python":
            docstrings.find_files(source.name)
        elif source.kind in ("file", "folder"):
            files = (file.path for file in source.files() if file.broken is None)
            first = next(files, None)
            if first is None:
                raise _no_documents(source.name)
            if not folders.is_text_file(first):
                names: dict[str, None] = {}
                for record in first_records(first, PATIENCE):
                    names.update(dict.fromkeys(record))
                    if fields.text in names:
                        break
                if names and fields.text not in names:
                    raise _no_field(str(first), fields.text, names)
            for record in _first_of_all(chain([first], files)):
                if not named.missing:
                    break
                named.see(record)
        else:
            unread = True
    if not unread:
        named.check()


def _first_of_all(files: Iterable[UPath]) -> Iterator[Record]:
    """Records from the heads of files, one after the other, as many as it takes to know the names of their fields."""
    of_records = (path for path in files if not folders.is_text_file(path))
    return islice(chain.from_iterable(first_records(path, PATIENCE) for path in of_records), PATIENCE)


def _seen(rows: Iterator[Row], named: _Named, patience: int | None = None) -> Iterator[Row]:
    """The rows, each shown to `named`; after `patience` records without a field it is taken to be wrong."""
    for count, (number, record) in enumerate(rows, start=1):
        if not isinstance(record, Broken):
            named.see(record)
        yield number, record
        if count == patience:
            named.check()


def _documents(
    rows: Iterator[Row], place: str, label: str, fields: Fields, reject: Rejecter
) -> Iterator[Document]:
    """Documents out of a file's records, and the check that the text field is rightly named."""
    names: dict[str, None] = {}
    read, found = 0, False
    for number, record in rows:
        read += 1
        name, origin = f"{label}:{number}", f"{place}:{number}"
        if isinstance(record, Broken):
            reject(Reject("read", record.reason, name, f"{origin}: {record.detail}"))
            continue
        if not found:
            found = fields.text in record
            names.update(dict.fromkeys(record))
            if not found and read >= PATIENCE:
                break
        made = _document(record, name, origin, fields)
        if isinstance(made, Document):
            yield made
        else:
            reject(made)
    if names and not found:
        raise _no_field(place, fields.text, names)


def _document(record: Record, name: str, origin: str, fields: Fields) -> Document | Reject:
    given = record.get(fields.id)
    if isinstance(given, str | int | float) and not isinstance(given, bool) and str(given).strip():
        name = storable(str(given).strip())
    text = record.get(fields.text)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            return Reject("read", "binary", name, f"{origin}: field {fields.text} is not UTF-8")
    if not isinstance(text, str):
        what = "null" if text is None else f"of type {type(text).__name__}"
        detail = f"is {what}" if fields.text in record else "is missing"
        return Reject("read", "no text field", name, f"{origin}: field {fields.text} {detail}")
    problem = _unusable(text)
    if problem:
        return Reject("read", problem, name, origin)
    source = record.get(fields.source)
    rest = {key: value for key, value in record.items() if key not in (fields.text, fields.id, fields.source)}
    try:
        metadata = _as_json(rest) if rest else {}
    except RecursionError:
        return Reject("read", "broken JSON", name, f"{origin}: nested too deeply")
    return Document(name, text, None if source is None else storable(str(source)), metadata, origin)


def _text_file(file: File, place: str, reject: Rejecter) -> Iterator[Document]:
    text = folders.read_text_file(file.path)
    if isinstance(text, Broken):
        reject(Reject("read", text.reason, file.label, f"{place}: {text.detail}"))
        return
    problem = _unusable(text)
    if problem:
        reject(Reject("read", problem, file.label, place))
    else:
        yield Document(file.label, text, file.group, {}, f"{place}:1")


def _python(module: str, reject: Rejecter, mapper: Mapper) -> Iterator[Document]:
    for item in docstrings.read_package(module, mapper):
        if isinstance(item, docstrings.Unparsed):
            reject(Reject("read", "broken Python", item.name, item.detail))
        elif len(item.text) < _SHORTEST_DOCSTRING:
            reject(Reject("read", "too short", item.name, f"{len(item.text)} characters"))
        else:
            code = f"`{item.signature}`\n\n" if item.signature else ""
            metadata = {"kind": item.kind, "file": item.file, "line": item.line}
            text = f"# {item.name.split('#')[0]}\n\n{code}{item.text}"
            yield Document(item.name, text, item.package, metadata, f"{item.file}:{item.line}")


def _unusable(text: str) -> str:
    """Why the text is none, empty if it is one."""
    if not text.strip():
        return "empty text"
    if "\0" in text or len(_CONTROL.findall(text)) > _MOST_CONTROL * len(text):
        return "binary"
    return ""


def _as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Values that can be written as JSON: dates and the like as text, bytes as their number, NaN as null."""
    plain: dict[str, Any] = JSON.decode(json.dumps(values, default=_as_text))
    return plain


def _as_text(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _no_field(place: str, name: str, names: dict[str, None], flag: str = "--text-field") -> BadInput:
    return BadInput(f"{place}: no record has the field {name}; it has: {listed(names)}; set {flag}")


def _no_documents(folder: str) -> BadInput:
    return BadInput(f"{folder}: no documents in this folder; it needs .txt, .md, .html or files of records")
