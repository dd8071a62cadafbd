"""Coverage: its gains against cross entropies written out, its lazy choice against one that looks at everything."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from tasks.select.coverage import Coverage
from tasks.train.format import Examples, from_sequences


def sequences(count: int, seed: int = 0, words: int = 12) -> Examples:
    """Random ones, of words that are rare and frequent, with questions of several lengths."""
    random = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, words + 1)
    made = [random.choice(words, random.integers(2, 15), p=shares / shares.sum()) for _ in range(count)]
    return from_sequences(made, random.integers(0, 4, count).tolist())


def bigrams(examples: Examples, row: int) -> Counter[tuple[int, int]]:
    """Of a row's tokens that are trained on, each with the one before it."""
    own = examples.tokens[examples.offsets[row] : examples.offsets[row + 1]].tolist()
    begin = max(int(examples.prompts[row]), 1)
    return Counter(zip(own[begin - 1 : -1], own[begin:], strict=True))


def cross_entropy(wanted: dict[tuple[int, int], float], taken: Counter[tuple[int, int]], kinds: int) -> float:
    """Of the wanted bigrams under the counts of those taken, one added to each of so many kinds."""
    total = sum(taken.values()) + kinds
    return -sum(share * math.log((taken[one] + 1) / total) for one, share in wanted.items())


def gains(examples: Examples, taken: list[int]) -> list[float]:
    """By how much each row lowers the cross entropy of what others have, for each of its tokens."""
    own = [bigrams(examples, row) for row in range(len(examples))]
    kinds = len(set().union(*own))
    before: Counter[tuple[int, int]] = sum((own[row] for row in taken), Counter())
    every = sum(sum(one.values()) for one in own)
    found = []
    for row, mine in enumerate(own):
        wanted: Counter[tuple[int, int]] = Counter()
        for other, theirs in enumerate(own):
            if other != row:
                wanted.update({one: count / every for one, count in theirs.items()})
        # What the row itself wants has no say, but a share of all it is.
        lowered = cross_entropy(wanted, before, kinds) - cross_entropy(wanted, before + mine, kinds)
        missing = 1 - sum(wanted.values())
        rise = math.log1p(sum(mine.values()) / (sum(before.values()) + kinds))
        gain = lowered - missing * rise
        found.append(gain / int(examples.lengths[row]) if mine else -np.inf)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_each_row_taken_lowers_the_cross_entropy_most(seed: int) -> None:
    examples = sequences(40, seed)
    covering = Coverage.of(examples).after(np.zeros(40, int))
    every = np.ones(40, bool)
    rows = covering.choose(every, every, 15, 40).tolist()
    for at, row in enumerate(rows):
        left = np.array(gains(examples, rows[:at]))
        left[rows[:at]] = -np.inf
        assert left[row] == pytest.approx(left.max(), rel=1e-5)
    assert len(set(rows)) == 15


def test_a_reference_is_wanted_and_never_chosen() -> None:
    """Of examples whose first half is of some bigrams and second half of others those of the reference's are chosen."""
    ones, others = (
        [[base + number % 7, base + 10 + number % 3, base + 20] for number in range(30)] for base in (0, 100)
    )
    examples, every = from_sequences([*ones, *others], [0] * 60), np.ones(60, bool)
    for begin, wanted in ((0, ones), (30, others)):
        coverage = Coverage.of(examples, from_sequences(wanted[:10], [0] * 10))
        plain = Coverage.of(examples)
        assert coverage.starts.tolist() == plain.starts.tolist()
        assert coverage.shares.sum() == pytest.approx(1)
        of_kind = np.zeros(60, bool)
        of_kind[begin : begin + 30] = True
        entries = np.repeat(of_kind, np.diff(coverage.starts))
        theirs = np.unique(coverage.bigrams[entries])
        # All of the reference, and the half of the pool that is of its kind.
        assert coverage.shares[theirs].sum() == pytest.approx(0.9 + 0.1 / 2)
        rows = coverage.after(np.zeros(60, int)).choose(every, every, 6, 60)
        assert of_kind[rows].sum() > 3


def test_it_goes_on_from_what_was_trained_on() -> None:
    examples, every = sequences(300, words=60), np.ones(300, bool)
    coverage = Coverage.of(examples)
    whole = coverage.after(np.zeros(300, int)).choose(every, every, 120, 300)
    visits = np.zeros(300, int)
    for begin in range(0, 120, 30):
        covering = coverage.after(visits)
        rows = covering.choose(visits == 0, visits == 0, 30, 300)
        assert rows.tolist() == whole[begin : begin + 30].tolist()
        visits[rows] += 1


def test_a_row_may_be_taken_again_where_none_may_be_new() -> None:
    examples = sequences(50)
    visits = (np.arange(50) < 20).astype(int)
    covering = Coverage.of(examples).after(visits)
    rows = covering.choose(np.arange(50) >= 10, visits == 0, 15, 3)
    assert sorted(rows[visits[rows] == 0]) == sorted(set(rows[visits[rows] == 0]))
    assert (visits[rows] == 0).sum() == 3
    assert len(rows) == len(set(rows.tolist())) == 13  # ten more, and three new ones
    assert rows.min() >= 10


def test_what_no_other_example_has_speaks_for_nothing() -> None:
    common, odd = [1, 2, 3, 4, 5], [20, 21] * 8  # by its own count the odd one would be the first
    examples = from_sequences([odd, common, common, common], [0] * 4)
    coverage, every = Coverage.of(examples), np.ones(4, bool)
    assert coverage.wanted[: coverage.starts[1]].tolist() == [0, 0]
    assert coverage.shares[coverage.bigrams[: coverage.starts[1]]].sum() > 0.5
    assert coverage.after(np.zeros(4, int)).choose(every, every, 4, 4).tolist()[0] != 0


def test_the_question_costs_and_bears_nothing() -> None:
    questions = [list(range(30, 40)), [39], [35, 39], *[[39]] * 8]
    answers = [*[[5, 6, 7]] * 3, *([at, at + 1, at + 2] for at in range(100, 180, 10))]
    examples = from_sequences(
        [[*question, *answer] for question, answer in zip(questions, answers, strict=True)],
        list(map(len, questions)),
    )
    coverage = Coverage.of(examples)
    assert coverage.counts.sum() == 11 * 3
    every = np.ones(11, bool)
    assert coverage.after(np.zeros(11, int)).choose(every, every, 1, 11).tolist() == [1]


def test_the_bigrams_are_those_that_scikit_learn_counts() -> None:
    examples = sequences(60, 5)
    whole = Examples(examples.tokens, examples.offsets, np.zeros(60, int))
    texts = [
        " ".join(f"w{token}" for token in whole.tokens[begin:end])
        for begin, end in zip(whole.offsets[:-1], whole.offsets[1:], strict=True)
    ]
    counted = CountVectorizer(ngram_range=(2, 2), token_pattern=r"\S+").fit_transform(texts)
    found = Coverage.of(whole)
    assert found.counts.sum() == counted.sum()
    assert len(found.counts) == counted.nnz
    assert np.diff(found.starts).tolist() == np.diff(counted.indptr).tolist()
    assert found.bigrams.max() + 1 == counted.shape[1]


def test_nothing_to_take() -> None:
    examples = from_sequences(
        [[1], [2, 3], [4, 5, 6], [7, 8]], [1, 2, 0, 0]
    )  # nothing of the first two is trained on
    covering, every = Coverage.of(examples).after(np.zeros(4, int)), np.ones(4, bool)
    assert covering.choose(every, every, 5, 4).tolist() in ([2, 3, 0, 1], [3, 2, 0, 1])
    none = np.zeros(4, bool)
    assert len(covering.choose(none, none, 5, 2)) == 0
    empty = Coverage.of(from_sequences([], []))
    assert len(empty.after(np.zeros(0, int)).choose(none[:0], none[:0], 5, 5)) == 0


def test_the_cross_entropy_is_that_written_out_and_lower_than_by_chance() -> None:
    examples, random = sequences(400, 3, words=60), np.random.default_rng(1)
    coverage, every = Coverage.of(examples), np.ones(400, bool)
    own = [bigrams(examples, row) for row in range(400)]
    total: Counter[tuple[int, int]] = sum(own, Counter())
    wanted = {one: count / sum(total.values()) for one, count in total.items()}
    rows = coverage.after(np.zeros(400, int)).choose(every, every, 60, 400)
    taken: Counter[tuple[int, int]] = sum((own[row] for row in rows), Counter())
    before, half, found = coverage.cross_entropies([rows[:0], rows[:30], rows[30:]])
    assert found == pytest.approx(cross_entropy(wanted, taken, len(total)), rel=1e-6)
    assert before == pytest.approx(math.log(len(total)))
    assert found < half < before
    tokens = examples.lengths[rows].sum()
    for _ in range(20):
        order = random.permutation(400)
        other = order[np.cumsum(examples.lengths[order]) <= tokens]
        assert found < next(coverage.cross_entropies([other]))


def test_what_is_saved_chooses_the_same(tmp_path: Path) -> None:
    coverage, every = Coverage.of(sequences(80)), np.ones(80, bool)
    coverage.save(tmp_path / "coverage.safetensors")
    again = Coverage.load(tmp_path / "coverage.safetensors")
    chosen = [one.after(np.zeros(80, int)).choose(every, every, 30, 80).tolist() for one in (coverage, again)]
    assert chosen[0] == chosen[1]
