"""Scores against scikit-learn's, and what is said where nothing can be divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.match.evaluate import score


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_scores_are_those_of_scikit_learn(rows: list[tuple[bool, bool]]) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    decisions, truth = np.array(rows).T
    found = score(decisions, truth)
    expected = precision_recall_fscore_support(truth, decisions, average="binary", zero_division=0)
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3])


def test_errors_are_named_by_their_rows() -> None:
    found = score(np.array([1, 1, 0, 0, 1]), np.array([1, 0, 1, 0, 0]))
    assert (found.false_matches.tolist(), found.missed_matches.tolist()) == ([1, 4], [2])


def test_nothing_decided_and_nothing_to_find_is_zero() -> None:
    found = score(np.zeros(3), np.zeros(3))
    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)
    assert score(np.zeros(0), np.zeros(0)).f1 == 0.0


def test_decisions_about_other_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="2 decisions about 3 pairs"):
        score(np.ones(2), np.ones(3))
