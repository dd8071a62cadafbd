"""Which examples cover the others: by how much their bigrams lower the others' cross entropy, after cynical selection.

Cynical selection (Axelrod, 2017, arXiv 1709.02279) takes, one after the other, the sentence that most lowers the cross entropy of a
text that stands for what is wanted, under a language model of what was taken before. So it wants what is frequent there and
still rare in what it has. With c(b) the count of a bigram in what was taken, N of them all, V different ones in the pool and in what
is wanted, one added to each count, and P(b) the share of the bigram in what is wanted,

    H = -sum_b P(b) log[(c(b) + 1) / (N + V)],

and an example that has x(b) of it, n of them all, lowers H by

    sum_b P(b) log[1 + x(b) / (c(b) + 1)] - log[1 + n / (N + V)].

What differs from the paper, whose model is of single words and whose text is another than the pool:

- Bigrams: an answer's token that is trained on with the one before it, as a language model meets them.
- What is wanted is the pool itself, beside a reference if there is one; and always without the example that is looked at: a bigram that
  no other example has speaks for nothing.
- The gain is taken for each token of the example, question included, for that is what training on it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.storage.tables import atomic_path
from tasks.train.format import Examples, concatenated

_REFERENCE = 0.9  # of what is wanted, where there is one: see tests/bench/lead.md
_NOTHING = -1e9  # what an example is worth that has no bigram to train on
_BLOCK = 32  # rows whose gains are brought up to date together at first; then twice as many each time


@dataclass(frozen=True, slots=True)
class Coverage:
    """The bigrams of n examples, by row: those of row i are at starts[i]:starts[i + 1], e of them in all.

    Args:
        starts: int64 (n + 1,).
        bigrams: numbers of the row's different bigrams, below V, int64 (e,); counts: of each in the row, float32 (e,).
        wanted: P of each without the row's own part, float32 (e,).
        shares: P of every bigram, float64 (V,).
        tokens: of each example, int64 (n,).
    """

    starts: np.ndarray
    bigrams: np.ndarray
    counts: np.ndarray
    wanted: np.ndarray
    shares: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, examples: Examples, reference: Examples | None = None) -> Coverage:
        """Of tokenised examples.

        Args:
            reference: examples that are wanted and not to be chosen: nine tenths of what is wanted, however many they are.
        """
        count = len(examples)
        every = concatenated([examples] if reference is None else [examples, reference])
        owners = np.repeat(np.arange(len(every)), every.lengths)
        place = np.arange(len(owners)) - np.repeat(every.offsets[:-1], every.lengths)
        at = np.flatnonzero(place >= np.maximum(every.prompts, 1)[owners])
        pairs = every.tokens[at - 1] * (int(every.tokens.max(initial=0)) + 1) + every.tokens[at]
        kinds, bigrams = np.unique(pairs, return_inverse=True)
        cells, counts = np.unique(owners[at] * len(kinds) + bigrams, return_counts=True)
        rows, columns = np.divmod(cells, max(1, len(kinds)))
        end = int(np.searchsorted(rows, count))  # the reference's own begin there
        own = counts.astype(np.float64)
        if end < len(own) and (of_pool := own[:end].sum()) > 0:
            own[end:] *= of_pool / own[end:].sum() * _REFERENCE / (1 - _REFERENCE)
        total = np.bincount(columns, own, len(kinds)).astype(np.float64)
        all_wanted = total.sum() or 1.0
        return cls(
            np.searchsorted(rows, np.arange(count + 1)),
            columns[:end],
            counts[:end].astype(np.float32),
            (np.maximum(total[columns] - own, 0.0)[:end] / all_wanted).astype(np.float32),
            total / all_wanted,
            np.asarray(examples.lengths),
        )

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        from safetensors.numpy import save_file

        with atomic_path(path) as temporary:
            save_file({name: np.ascontiguousarray(getattr(self, name)) for name in self.__slots__}, temporary)

    @classmethod
    def load(cls, path: Path) -> Coverage:
        """As it was saved."""
        from safetensors.numpy import load_file

        return cls(**load_file(path))

    def after(self, visits: np.ndarray, times: float = 1.0) -> Covering:
        """When each example was trained on so many times, (n,).

        Args:
            times: that each row counts that is chosen from now on: with more than one it stands for others like it, so that a choice among
                a part of the pool is like one among all.
        """
        return Covering(self, visits, times)

    def cross_entropies(self, parts: Iterable[np.ndarray]) -> Iterator[float]:
        """H of what is wanted, nats a bigram, after each of these lists of rows, taken one after the other."""
        counts = np.ones(len(self.shares))
        for rows in parts:
            at, _ = self.entries(rows)
            np.add.at(counts, self.bigrams[at], self.counts[at])
            yield float(-self.shares @ np.log(counts / max(1.0, counts.sum())))

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the bigrams of r rows, and which of the rows, from 0, each is of; all (e',)."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        ends = np.cumsum(sizes)
        at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.starts[rows] - (ends - sizes), sizes)
        return at, np.repeat(np.arange(len(rows)), sizes)


class Covering:
    """Takes examples that cover the others, one after the other."""

    def __init__(self, coverage: Coverage, visits: np.ndarray, times: float = 1.0) -> None:
        self._of = coverage
        taken = np.flatnonzero(visits)
        at, owners = coverage.entries(taken)
        size = len(coverage.shares)
        self._counts = np.bincount(
            coverage.bigrams[at], coverage.counts[at] * visits[taken][owners], size
        ).astype(np.float64)
        ends = np.concatenate([[0.0], np.cumsum(coverage.counts, dtype=np.float64)])
        self._sizes = times * (ends[coverage.starts[1:]] - ends[coverage.starts[:-1]])  # bigrams of each row
        self._added = coverage.counts if times == 1 else times * coverage.counts  # by each row that is chosen
        self._all = max(1.0, size + float(self._counts.sum()))

    def choose(self, may: np.ndarray, is_new: np.ndarray, count: int, new: int) -> np.ndarray:
        """Up to `count` rows, each the one with the highest gain a token beside those before it, of which at most `new` are new.

        Args:
            may: whether a row may be chosen, (n,).
            is_new: whether it was never chosen before, (n,).
        """
        rows = np.flatnonzero(may)
        # Never grows as more are taken, so that what is not up to date is an upper bound (Minoux, 1978).
        lowered = self._lowered(rows)
        is_open = np.ones(len(rows), dtype=bool)
        chosen: list[int] = []
        while len(chosen) < count:
            if new <= 0:
                is_open &= ~is_new[rows]
            if not is_open.any():
                break
            best = self._best(rows, lowered, is_open)
            row = int(rows[best])
            own = slice(self._of.starts[row], self._of.starts[row + 1])
            self._counts[self._of.bigrams[own]] += self._added[own]
            self._all += self._sizes[row]
            is_open[best] = False
            new -= int(is_new[row])
            chosen.append(row)
        return np.array(chosen, dtype=np.int64)

    def _best(self, rows: np.ndarray, lowered: np.ndarray, is_open: np.ndarray) -> int:
        """Place of the row with the highest gain; `lowered` is brought up to date as far as that takes."""
        rise, tokens = np.log1p(self._sizes[rows] / self._all), np.maximum(1, self._of.tokens[rows])
        # One that has none would be worth more than one that makes H rise.
        least = np.where(self._sizes[rows] > 0, 0.0, _NOTHING)
        gains = np.where(is_open, (lowered - rise) / tokens + least, -np.inf)
        is_known, block = np.zeros(len(rows), dtype=bool), _BLOCK
        while not is_known[best := int(gains.argmax())]:
            bounds = np.where(is_known, -np.inf, gains)
            some = np.argpartition(-bounds, min(block, len(rows)) - 1)[:block]
            some = np.append(some[is_open[some] & ~is_known[some]], best)
            lowered[some] = self._lowered(rows[some])
            gains[some] = (lowered[some] - rise[some]) / tokens[some] + least[some]
            is_known[some] = True
            block *= 2
        return best

    def _lowered(self, rows: np.ndarray) -> np.ndarray:
        """By how much more examples' bigrams are foretold, the first of the two sums, (r,)."""
        of = self._of
        at, owners = of.entries(rows)
        each = of.wanted[at] * np.log1p(self._added[at] / (self._counts[of.bigrams[at]] + 1.0))
        found: np.ndarray = np.bincount(owners, each, len(rows))
        return found
