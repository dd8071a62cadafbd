"""Arrays at rest: whole or absent, and memory-mapped when read, so that a stage holds only the rows it touches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tasks.storage.tables import atomic_path


def save_array(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def save_rows(path: Path, parts: Iterable[np.ndarray], shape: tuple[int, int]) -> None:
    """Save float32 rows (n, d) that come in parts, one part at a time in memory.

    Raises:
        ValueError: the parts do not add up to the shape.
    """
    # Appended, never mapped: a sparse file that meets a full disk is a SIGBUS, which no one can catch.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        rows = 0
        for part in parts:
            stream.write(np.asarray(part).astype("<f4", copy=False).tobytes())
            rows += len(part)
            if part.shape[1] != shape[1]:
                raise ValueError(f"rows of {part.shape[1]} numbers, expected {shape[1]}")
        if rows != shape[0]:
            raise ValueError(f"{rows} rows, expected {shape[0]}")


def load_array(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
