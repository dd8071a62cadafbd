"""Rows as what a network reads, in two views: one as it is, and a strong one, with words hidden or numbers blurred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

HIDDEN = 0.2  # share of a text's tokens that a strong view hides
WEAK, STRONG = False, True
_ASKED, _AMONG = 1_000, 10_000  # rows whose neighbours are looked for, and among how many


class Inputs(Protocol):
    """n rows that a network can be given."""

    def __len__(self) -> int: ...

    def view(self, rows: np.ndarray, strong: bool, random: np.random.Generator) -> Any:
        """What the network is called with for some rows; a strong view is another one each time."""


@dataclass(frozen=True)
class Vectors:
    """Numbers, float32 (n, d), each with mean 0 over the rows. A strong view of a row lies about as far from it as the nearest
    other row, in any direction."""

    values: torch.Tensor

    def __len__(self) -> int:
        return len(self.values)

    def view(self, rows: np.ndarray, strong: bool, random: np.random.Generator) -> torch.Tensor:
        taken = self.values[torch.from_numpy(rows)]
        if not strong:
            return taken
        noise = torch.from_numpy(random.standard_normal(taken.shape, dtype=np.float32))
        return taken + self.blur * noise.to(taken.device)

    @cached_property
    def blur(self) -> float:
        """Deviation of a strong view's noise in each dimension: its length is then the median distance of a row to the nearest
        one that differs from it, as far as a thousand rows among ten thousand tell. 0 of rows that are all alike."""
        from sklearn.neighbors import NearestNeighbors

        random = np.random.default_rng(0)
        among = random.permutation(len(self.values))[:_AMONG]
        values = np.unique(self.values[torch.from_numpy(among)].cpu().numpy(), axis=0)
        if len(values) < 2:
            return 0.0
        asked = values[random.permutation(len(values))[:_ASKED]]
        found = NearestNeighbors(n_neighbors=2).fit(values).kneighbors(asked)[0][:, 1]
        return float(np.median(found) / np.sqrt(values.shape[1]))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as token ids; a strong view hides a fifth of a text's tokens: they are replaced by one that says so, special ones stay.

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

    def view(self, rows: np.ndarray, strong: bool, random: np.random.Generator) -> dict[str, torch.Tensor]:
        texts = [self.ids[row] for row in rows]
        shape = len(texts), max(map(len, texts))
        ids, seen = np.full(shape, self.padding, np.int64), np.zeros(shape, np.int64)
        for place, text in enumerate(texts):
            ids[place, : len(text)], seen[place, : len(text)] = text, 1
        if strong:
            may = (seen == 1) & ~np.isin(ids, list(self.special))
            ids[may & (random.random(shape) < HIDDEN)] = self.mask
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
