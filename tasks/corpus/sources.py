"""What the words after --corpus mean, and what each of them consists of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from upath import UPath

from tasks.corpus import docstrings, folders, huggingface
from tasks.corpus.formats import path_of, reader_of
from tasks.records import BadInput


@dataclass(frozen=True, slots=True)
class Source:
    """One source of documents.

    Args:
        kind: "file", "folder", "saved" (a data set's folder), "hub" or "python".
        name: path, name on the hub, or package.
        label: shortest end of the path that no other source shares; ids are made from it.
    """

    kind: Literal["file", "folder", "saved", "hub", "python"]
    name: str
    label: str

    def files(self) -> Iterator[tuple[UPath, str, str]]:
        """(path, label, group) of the files of a file or folder; the group is the file's folder just below."""
        path = UPath(self.name)
        if self.kind == "file":
            yield path, self.label, path.parent.name
            return
        for file in folders.files_below(path):
            below = file.parts[len(path.parts) :]
            yield file, "/".join([self.label, *below]), below[0] if len(below) > 1 else self.label


def resolve(sources: Sequence[str]) -> list[Source]:
    """The sources behind the user's words.

    Raises:
        BadInput: a path does not exist, or is of no known kind.
    """
    if not sources:
        raise BadInput("--corpus: no source given; name a file, a folder, hf:NAME or python:PACKAGE")
    labels = _labels([str(source) for source in sources if not _scheme(str(source))])
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
            resolved.append(Source("hub", name, huggingface.split_name(name)[0].rsplit("/", 1)[-1]))
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
            marks += [_mark(path) for path, _, _ in source.files()]
    return hashlib.sha256(repr(marks).encode()).hexdigest()


def _as_python(source: str) -> str:
    """A target's doctest:MODULE lies in the same files as python:MODULE."""
    return "python:" + source.removeprefix("doctest:") if source.startswith("doctest:") else source


def _path(source: str, label: str) -> Source:
    path = path_of(source)
    if not path.exists():
        raise BadInput(f"{source}: no such file or folder")
    if path.is_dir():
        return Source("saved" if huggingface.is_saved_dataset(path) else "folder", source, label)
    if not folders.is_text_file(path) and reader_of(path) is None:
        raise BadInput(
            f"{source}: unknown kind of file; give .jsonl(.gz), .json, .parquet, .csv(.gz), .tsv, .txt, .md or .html"
        )
    return Source("file", source, label)


def _scheme(source: str) -> str:
    scheme = source.partition(":")[0]
    return scheme if scheme in {"python", "hf"} and ":" in source else ""


def _labels(paths: list[str]) -> dict[str, str]:
    """For every path the shortest end that no other path has."""
    parts = {path: [part.strip("/") for part in path_of(path).parts] for path in paths}
    labels = {}
    for path, own in parts.items():
        others = [other for name, other in parts.items() if name != path]
        depth = 1
        while depth < len(own) and any(other[-depth:] == own[-depth:] for other in others):
            depth += 1
        labels[path] = "/".join(own[-depth:]) or path
    return labels


def _mark(path: UPath) -> list[Any]:
    status = path.stat()
    return [str(path), status.st_size, getattr(status, "st_mtime_ns", None) or status.st_mtime]
