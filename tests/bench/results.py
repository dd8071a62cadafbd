"""Measurements at rest: one JSON line each, appended whole, so that a stopped benchmark continues where it was."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
Key = tuple[str, str, float, str, int, str]
KEY = ("corpus", "target", "budget", "strategy", "seed", "kind")


def append(out: Path, row: Facts) -> None:
    """Append a measurement; several processes may do so at once."""
    line = json.dumps(row, sort_keys=True).encode() + b"\n"
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
