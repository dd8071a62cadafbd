"""Which examples cover the others: by how much their bigrams lower the others' cross entropy, after cynical selection.

Cynical selection (Axelrod, 2017, arXiv 1709.02279) takes, one after the other, the sentence that most lowers the cross entropy of a
text that stands for what is wanted, under a language model of what was taken before. So it wants what is frequent there and
still rare in what it has. With c(b) the count of a bigram in what was taken, N of them all, V different ones in the pool, one added to
each count, and P(b) the share of the bigram in what is wanted,

    H = -sum_b P(b) log[(c(b) + 1) / (N + V)],

and an example that has x(b) of it, n of them all, lowers H by

    sum_b P(b) log[1 + x(b) / (c(b) + 1)] - log[1 + n / (N + V)].

What differs from the paper, whose model is of single words and whose text is another than the pool:

- Bigrams: an answer's token that is trained on with the one before it, as a language model meets them.
- What is wanted is the pool itself, or by weights of its examples, beside a reference if there is one; and always without the example
  that is looked at: a bigram that no other example has speaks for nothing.
- The gain is taken for each token of the example, question included, for that is what training on it costs. What makes H rise is
  taken last, what does so least first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.storage.tables import atomic_path
from tasks.train.format import Examples, concatenated

_REFERENCE = 0.75  # of what is wanted, where there is one: see tests/bench/lead.md
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
    def of(
        cls, examples: Examples, weights: np.ndarray | None = None, reference: Examples | None = None
    ) -> Coverage:
        """Of tokenised examples.

        Args:
            weights: of each example in what is wanted, (n,), none below 0; alike if None.
            reference: examples that are wanted and not to be chosen: three quarters of what is wanted, however many they are.
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
        if weights is not None:
            own[:end] *= np.asarray(weights)[rows[:end]]
        if end < len(own):
            own[end:] *= own[:end].sum() / own[end:].sum() * _REFERENCE / (1 - _REFERENCE)
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

    def after(self, visits: np.ndarray) -> Covering:
        """When each example was trained on so many times, (n,)."""
        return Covering(self, visits)

    def cross_entropy(self, rows: np.ndarray) -> float:
        """H of what is wanted, nats a bigram, when these rows were taken, each once."""
        of_rows = np.isin(self._owners, rows)
        counts = np.bincount(self.bigrams[of_rows], self.counts[of_rows], len(self.shares)) + 1.0
        return float(-self.shares @ np.log(counts / max(1.0, counts.sum())))

    @property
    def _owners(self) -> np.ndarray:
        """Row that each entry is of, (e,)."""
        return np.repeat(np.arange(len(self.tokens)), np.diff(self.starts))


class Covering:
    """Takes examples that cover the others, one after the other."""

    def __init__(self, coverage: Coverage, visits: np.ndarray) -> None:
        self._of = coverage
        rows, size = coverage._owners, len(coverage.shares)
        self._counts = np.bincount(coverage.bigrams, coverage.counts * visits[rows], size).astype(np.float64)
        self._sizes = np.bincount(rows, coverage.counts, len(visits))
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
            self._counts[self._of.bigrams[own]] += self._of.counts[own]
            self._all += self._sizes[row]
            is_open[best] = False
            new -= int(is_new[row])
            chosen.append(row)
        return np.array(chosen, dtype=np.int64)

    def _best(self, rows: np.ndarray, lowered: np.ndarray, is_open: np.ndarray) -> int:
        """Place of the row with the highest gain; `lowered` is brought up to date as far as that takes."""
        rise, tokens = np.log1p(self._sizes[rows] / self._all), self._of.tokens[rows]
        gains = np.where(is_open, _a_token(lowered - rise, tokens), -np.inf)
        is_known, block = np.zeros(len(rows), dtype=bool), _BLOCK
        while not is_known[best := int(gains.argmax())]:
            bounds = np.where(is_known, -np.inf, gains)
            some = np.argpartition(-bounds, min(block, len(rows)) - 1)[:block]
            some = np.append(some[is_open[some] & ~is_known[some]], best)
            lowered[some] = self._lowered(rows[some])
            gains[some] = _a_token(lowered[some] - rise[some], tokens[some])
            is_known[some] = True
            block *= 2
        return best

    def _lowered(self, rows: np.ndarray) -> np.ndarray:
        """By how much more examples' bigrams are foretold, the first of the two sums, (r,)."""
        of = self._of
        sizes = of.starts[rows + 1] - of.starts[rows]
        ends = np.cumsum(sizes)
        at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(of.starts[rows] - (ends - sizes), sizes)
        each = of.wanted[at] * np.log1p(of.counts[at] / (self._counts[of.bigrams[at]] + 1.0))
        found: np.ndarray = np.bincount(np.repeat(np.arange(len(rows)), sizes), each, len(rows))
        return found


def _a_token(gains: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Gains for each token, (r,); a loss is as it was, for a longer example makes it no smaller."""
    return np.where(gains > 0, gains / np.maximum(1, tokens), gains)
