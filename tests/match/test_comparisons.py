"""What the matcher looks at: every column named, between 0 and 1, and right where it is plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.match.compare import comparison_names, comparisons
from tasks.match.features import pair_features
from tests.match.conftest import pairs, table

TEXTS = st.lists(st.text(max_size=8), min_size=4, max_size=4)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_every_comparison_is_named_and_between_0_and_1(one: list[str], other: list[str]) -> None:
    left, right = table(a=one[:2], b=one[2:]), table(a=other[:2], b=other[2:])
    found = comparisons(left, right, pairs((0, 0), (0, 1), (1, 1)), ["a", "b"])
    assert found.shape == (3, len(comparison_names(["a", "b"])))
    assert ((found >= 0) & (found <= 1)).all()


def test_columns_are_what_their_names_say() -> None:
    left, right = table(a=["red ale", "x"], b=["", "y"]), table(a=["red ale strong", "z"], b=["", "y"])
    some = pairs((0, 0), (1, 1))
    found = dict(zip(comparison_names(["a", "b"]), comparisons(left, right, some, ["a", "b"]).T, strict=True))
    assert np.array_equal(found["a: characters"], pair_features(left, right, some, ["a"])[:, 0])
    assert found["a: words"] == pytest.approx([2 / 3, 0])
    assert found["a: contained words"] == pytest.approx([1, 0])
    assert found["b: contained words"] == pytest.approx([1, 1])
    assert found["record: words"] == pytest.approx([2 / 3, 1 / 3])


def test_a_rare_word_in_common_weighs_more_than_a_frequent_one() -> None:
    left = table(a=["ale zephyr", "ale onion", *["ale"] * 20])
    right = table(a=["beer zephyr", "beer ale"])
    found = comparisons(left, right, pairs((0, 0), (1, 1)), ["a"])
    rare = found[:, comparison_names(["a"]).index("record: rare words")]
    assert rare[0] > rare[1] > 0


def test_equal_records_are_alike_in_everything_even_if_all_is_missing() -> None:
    for value in ("", "Zoë 1999", "!"):
        one = table(a=[value], b=[value])
        assert comparisons(one, one, pairs((0, 0)), ["a", "b"]) == pytest.approx(1.0), value
