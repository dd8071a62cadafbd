"""Measurements at rest: one JSON line each, appended whole, so that a stopped benchmark continues where it was."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.records import BadInput
from tasks.storage.tables import write_json

Facts = dict[str, Any]
Key = tuple[str, str, float, str, int, str]
KEY = ("corpus", "target", "budget", "strategy", "seed", "kind")

_ROOT = Path(__file__).resolve().parents[2]
_MAKERS = (
    "cells",
    "deceptive",
    "fits",
    "selections",
    "targets",
)  # of the benchmark's own files, those a figure depends on


@functools.cache
def fingerprint(root: Path = _ROOT) -> str:
    """Of the source that makes measurements; the worker processes take it as they start."""
    files = [*root.glob("tasks/**/*.py"), *(root / f"tests/bench/{name}.py" for name in _MAKERS)]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:10]


def keep_settings(out: Path, settings: Facts) -> None:
    """Write down what all measurements of a folder have in common, or see that it has not changed.

    Raises:
        BadInput: the folder's measurements were made with other settings.
    """
    path = out / "settings.json"
    if not path.exists() and not (out / "results.jsonl").exists():
        write_json(path, settings)
        return
    known: Facts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    other = [
        f"{name} {known.get(name)}, not {settings[name]}"
        for name in settings
        if known.get(name) != settings[name]
    ]
    if other:
        raise BadInput(f"{out} holds measurements of {'; '.join(other)}: give these again, or another --out.")


def by_seed(out: Path, cell: Facts, seeds: Sequence[int]) -> Callable[[float, str, str], dict[int, float]]:
    """A function of budget, strategy and field that gives what is measured of a cell, by seed."""
    found = [row for row in load(out).values() if cell.items() <= row.items() and row["seed"] in seeds]

    def values(budget: float, strategy: str, field: str) -> dict[int, float]:
        return {
            row["seed"]: row[field]
            for row in found
            if (row["budget"], row["strategy"]) == (budget, strategy) and field in row
        }

    return values


def append(out: Path, row: Facts) -> None:
    """Append a measurement and the code that made it; several processes may do so at once."""
    line = json.dumps({**row, "code": fingerprint()}, sort_keys=True).encode() + b"\n"
    with (out / "results.jsonl").open("ab+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # a killed process left half a line
                line = b"\n" + line
        stream.write(line)


def load(out: Path) -> dict[Key, Facts]:
    """Measurements by key; of several with one key the last."""
    path = out / "results.jsonl"
    found: dict[Key, Facts] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the half line of a killed process; measured again
            found[key(row)] = row
    return found


def key(row: Facts) -> Key:
    corpus, target, budget, strategy, seed, kind = (row[name] for name in KEY)
    return corpus, target, budget, strategy, seed, kind
