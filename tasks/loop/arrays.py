"""Arrays at rest: whole or absent, and memory-mapped when read, so that a stage holds only the rows it touches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.run.tables import atomic_path


def save_array(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def load_array(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
