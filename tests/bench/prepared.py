"""What benchmarks do with a prepared run: a folder that looks like it for each strategy, a name for its student."""

from __future__ import annotations

import argparse
from pathlib import Path

_STAGES = ("vectors.npy", "stages", "students", "target")


def place_of(at: Path, name: str) -> Path:
    """A folder that looks like the prepared one, for what one strategy writes."""
    made = at / name.replace(" ", "-")
    made.mkdir(parents=True, exist_ok=True)
    for part in _STAGES:
        if not (made / part).exists():
            (made / part).symlink_to((at / part).resolve())
    return made


def student_of(given: argparse.Namespace) -> str:
    return "x".join(map(str, given.student))
