"""What the words after --corpus mean, and what each of them consists of."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from upath import UPath

from tasks.corpus import docstrings, folders, huggingface
from tasks.corpus.formats import Broken, address_of, path_of, reader_of, storable
from tasks.records import BadInput


@dataclass(frozen=True, slots=True)
class File:
    """One file of a source.

    Args:
        path: where it lies.
        label: its name in ids.
        group: its folder just below the source, else the source's label.
        broken: why it is not read, None if it is.
    """

    path: UPath
    label: str
    group: str
    broken: Broken | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One source of documents.

    Args:
        kind: "file", "folder", "saved" (a data set's folder), "hub" or "python".
        name: path, name on the hub, or package.
        label: shortest end of the path, or of the name on the hub with its configuration, that no other source
            shares; ids are made from it.
    """

    kind: Literal["file", "folder", "saved", "hub", "python"]
    name: str
    label: str

    def files(self) -> Iterator[File]:
        """The files of a file or folder, those that are not read among them."""
        path = UPath(self.name)
        if self.kind == "file":
            yield File(path, self.label, storable(path.parent.name))
            return
        for file, broken in folders.files_below(path):
            below = file.parts[len(path.parts) :]
            label, group = "/".join([self.label, *below]), below[0] if len(below) > 1 else self.label
            yield File(file, storable(label), storable(group), broken)


def resolve(sources: Sequence[str]) -> list[Source]:
    """The sources behind the user's words.

    Raises:
        BadInput: a path does not exist, or is of no known kind.
    """
    if not sources or not all(map(str, sources)):  # an empty path would be the current folder
        raise BadInput("--corpus: no source given; name a file, a folder, hf:NAME or python:PACKAGE")
    labels = _labels([str(source) for source in sources if _scheme(str(source)) != "python"])
    resolved: list[Source] = []
    for source in map(str, sources):
        scheme = _scheme(source)
        if scheme == "python":
            packages = [name.strip() for name in source.removeprefix("python:").split(",") if name.strip()]
            if not packages:
                raise BadInput(f"{source}: name the packages, as in python:sympy,scipy")
            resolved += [Source("python", package, package) for package in packages]
        elif scheme == "hf":
            name = source.removeprefix("hf:")
            if not huggingface.split_name(name)[0]:
                raise BadInput(f"{source}: name the data set, as in hf:NAME or hf:NAME:CONFIG")
            resolved.append(Source("hub", name, labels[source]))
        else:
            resolved.append(_path(source, labels[source]))
    return resolved


def fingerprint(sources: Sequence[str]) -> str:
    """A hash that changes when a source does: path, size and time of every file.

    A Python package (python: or doctest:) is its files; a data set on the hub counts by its name alone.
    """
    marks: list[Any] = []
    for source in resolve([_as_python(str(source)) for source in sources]):
        if source.kind == "hub":
            marks.append(["hf", source.name])
        elif source.kind == "python":
            marks += [_mark(UPath(path)) for _, path in docstrings.find_files(source.name)]
        elif source.kind == "saved":
            marks += [
                _mark(path) for path in sorted(UPath(source.name).rglob("*"), key=str) if path.is_file()
            ]
        else:
            marks += [_mark(file.path) for file in source.files() if file.broken is None]
    return hashlib.sha256(repr(marks).encode()).hexdigest()


def _as_python(source: str) -> str:
    """A target's doctest:MODULE lies in the same files as python:MODULE."""
    return "python:" + source.removeprefix("doctest:") if source.startswith("doctest:") else source


def _path(source: str, label: str) -> Source:
    path = path_of(source)
    if not path.exists():
        raise BadInput(f"{source}: no such file or folder")
    try:
        if path.is_dir():
            return Source("saved" if huggingface.is_saved_dataset(path) else "folder", source, label)
    except OSError as error:
        raise BadInput(f"{source}: cannot be read: {error.strerror or error}") from None
    if not folders.is_text_file(path) and reader_of(path) is None:
        raise BadInput(
            f"{source}: unknown kind of file; give .jsonl(.gz), .json, .parquet, .csv(.gz), .tsv, .txt, .md or .html"
        )
    return Source("file", source, label)


def _scheme(source: str) -> str:
    scheme = source.partition(":")[0]
    return scheme if scheme in {"python", "hf"} and ":" in source else ""


def _labels(sources: list[str]) -> dict[str, str]:
    """For every path or name on the hub the shortest end that no other has."""
    parts = {source: _parts(source) for source in sources}
    shared = Counter(tuple(own[-depth:]) for own in parts.values() for depth in range(1, len(own) + 1))
    labels = {}
    for source, own in parts.items():
        depth = 1
        while depth < len(own) and shared[tuple(own[-depth:])] > 1:
            depth += 1
        labels[source] = storable("/".join(own[-depth:]) or source)
    return labels


def _parts(source: str) -> list[str]:
    if _scheme(source) == "hf":
        return source.removeprefix("hf:").strip("/").split("/")
    if "://" in source:  # without a user, a password or a token: labels travel with the data
        address = address_of(source)
        return [address.netloc.rpartition("@")[2], *filter(None, address.path.split("/"))]
    return [part.strip("/") for part in path_of(source).parts]


def _mark(path: UPath) -> list[Any]:
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere
        return [str(path), None]
    return [str(path), status.st_size, getattr(status, "st_mtime_ns", None) or status.st_mtime]
