"""Arrays at rest: whole or absent, and memory-mapped when read, so that a stage holds only the rows it touches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tasks.run.tables import atomic_path


def save_array(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def save_rows(path: Path, parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Save float32 rows that come in parts, one part at a time in memory."""
    # Appended, never mapped: a sparse file that meets a full disk is a SIGBUS, which no one can catch.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for part in parts:
            stream.write(part.astype("<f4", copy=False).tobytes())


def load_array(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
