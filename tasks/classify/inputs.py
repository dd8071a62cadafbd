"""Rows as what a network reads, in two views: one as it is, one with a part of it hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

HIDDEN = 0.2  # share of a strong view that is hidden
WEAK, STRONG = 0.0, HIDDEN


class Inputs(Protocol):
    """n rows that a network can be given."""

    def __len__(self) -> int: ...

    def view(self, rows: np.ndarray, hidden: float, random: np.random.Generator) -> Any:
        """What the network is called with for some rows, a share of which is hidden at random."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Numbers, float32 (n, d), each with mean 0 over the rows: 0 says nothing, and is what stands in for what is hidden."""

    values: torch.Tensor

    def __len__(self) -> int:
        return len(self.values)

    def view(self, rows: np.ndarray, hidden: float, random: np.random.Generator) -> torch.Tensor:
        taken = self.values[torch.from_numpy(rows)]
        if not hidden:
            return taken
        kept = torch.from_numpy(random.random(taken.shape, dtype=np.float32) >= hidden)
        return taken * kept.to(taken.device)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as token ids; hidden tokens are replaced by one that says so, special ones stay.

    Args:
        ids: of each text.
        special: tokens that are never hidden.
        mask: stands in for what is hidden.
        padding: fills the shorter texts of a batch.
    """

    ids: Sequence[np.ndarray]
    special: frozenset[int]
    mask: int
    padding: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.ids)

    def view(self, rows: np.ndarray, hidden: float, random: np.random.Generator) -> dict[str, torch.Tensor]:
        texts = [self.ids[row] for row in rows]
        shape = len(texts), max(map(len, texts))
        ids, seen = np.full(shape, self.padding, np.int64), np.zeros(shape, np.int64)
        for place, text in enumerate(texts):
            ids[place, : len(text)], seen[place, : len(text)] = text, 1
        if hidden:
            may = (seen == 1) & ~np.isin(ids, list(self.special))
            ids[may & (random.random(shape) < hidden)] = self.mask
        return {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "attention_mask": torch.from_numpy(seen).to(self.device),
        }


def joined(one: Any, other: Any) -> Any:
    """Two views of the same rows as one, the rows of the first before those of the second."""
    if isinstance(one, torch.Tensor):
        return torch.cat([one, other])
    return {name: torch.cat([value, other[name]]) for name, value in one.items()}


def order(count: int, size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Rows in random order, in batches; a last one of a single row joins the one before it."""
    places = random.permutation(count)
    cuts = list(range(size, count, size))
    if cuts and count - cuts[-1] == 1:
        cuts.pop()
    return np.split(places, cuts)
