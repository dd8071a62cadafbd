"""Similarities of pairs: the paper's examples, missing values, and plain definitions as oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.match.features import INDEL, JACCARD, embedding_features, pair_features
from tasks.records import BadInput
from tests.match.conftest import pairs, table


def of(one: str, other: str, measure: str = INDEL) -> float:
    found = pair_features(table(x=[one]), table(x=[other]), pairs((0, 0)), ["x"], measure=measure)
    return float(found[0, 0])


def test_the_papers_examples() -> None:
    assert of("listen", "silent") == pytest.approx(0.5)
    assert of("Dance,Music,Hip-Hop", "Music") == pytest.approx(0.42, abs=0.005)


@pytest.mark.parametrize("measure", [INDEL, JACCARD])
def test_both_missing_is_one_and_one_missing_is_zero(measure: str) -> None:
    assert [of("", "", measure), of("", "a", measure), of("a", "", measure)] == [1.0, 0.0, 0.0]


def test_jaccard_counts_words_whatever_their_case_and_number() -> None:
    assert of("Red Ale ale", "red lager", JACCARD) == pytest.approx(1 / 3)
    assert of("Straße", "STRASSE", JACCARD) == 1.0


def longest_common_subsequence(one: str, other: str) -> int:
    best = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            best[i, j] = best[i - 1, j - 1] + 1 if a == b else max(best[i - 1, j], best[i, j - 1])
    return int(best[-1, -1])


@settings(deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_indel_is_twice_the_common_subsequence_over_the_lengths(one: str, other: str) -> None:
    if not one or not other:
        assert of(one, other) == float(one == other)
    else:
        expected = 2 * longest_common_subsequence(one, other) / (len(one) + len(other))
        assert of(one, other) == pytest.approx(expected)


def test_an_attribute_is_a_column_and_merged_is_one_text_of_what_is_not_missing() -> None:
    left, right = table(a=["x", ""], b=["y", "y"]), table(a=["x", "x"], b=["", "y"])
    rows = pairs((0, 0), (1, 1))
    assert pair_features(left, right, rows, ["a", "b"]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    merged = pair_features(left, right, rows, ["a", "b"], merged=True)
    assert merged.ravel() == pytest.approx([of("x y", "x"), of("y", "x y")])


def test_all_missing_on_both_sides_is_alike_in_everything() -> None:
    empty = table(a=[""], b=[""])
    assert pair_features(empty, empty, pairs((0, 0)), ["a", "b"]).tolist() == [[1.0, 1.0]]
    assert pair_features(empty, empty, pairs((0, 0)), ["a", "b"], merged=True).tolist() == [[1.0]]


def test_no_pairs_have_no_features() -> None:
    one = table(a=["x"])
    assert pair_features(one, one, pairs(), ["a"]).shape == (0, 1)


def test_what_cannot_be_compared_is_one_line() -> None:
    one = table(a=["x"])
    with pytest.raises(BadInput, match="similarity cosine: unknown; give indel or jaccard"):
        pair_features(one, one, pairs((0, 0)), ["a"], measure="cosine")
    with pytest.raises(BadInput, match="no attribute to compare"):
        pair_features(one, one, pairs((0, 0)), [])


def test_an_embedding_is_what_the_encoder_says() -> None:
    found = embedding_features(["a", "bb"], lambda texts: np.array([[len(text), 0] for text in texts]))
    assert found.tolist() == [[1.0, 0.0], [2.0, 0.0]]
