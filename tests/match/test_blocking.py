"""Candidates, against all cosines at once; the report, against counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tasks.match import blocking
from tasks.match.blocking import blocking_report, candidates
from tasks.match.read import Table
from tasks.records import BadInput
from tests.match.conftest import pairs, table


def words(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    known = ["".join(random.choice(list("abcde"), size=4)) for _ in range(30)]
    return [" ".join(random.choice(known, size=3)) for _ in range(count)]


LEFT, RIGHT = table("l", name=words(40, 0)), table("r", name=words(60, 0)[::-1])


def cosines(left: Table, right: Table) -> np.ndarray:
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3))
    vectorizer.fit(left.columns["name"] + ([] if right is left else right.columns["name"]))
    both = (vectorizer.transform(one.columns["name"]) for one in (left, right))
    return np.asarray((next(both) @ next(both).T).todense())


def test_candidates_are_the_nearest_by_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "_CHUNK", 500)  # a few rows at a time
    found = candidates(LEFT, RIGHT, ["name"], neighbours=3, minimum=0.3)
    similar = cosines(LEFT, RIGHT)
    assert len(np.unique(np.stack([found.left, found.right]), axis=1).T) == len(found)
    for row in range(40):
        own = np.sort(similar[row, found.right[found.left == row]])
        expected = np.sort(similar[row])[-3:]
        assert own == pytest.approx(expected[expected >= 0.3], abs=1e-6)


def test_within_one_table_a_pair_is_there_once_and_nobody_meets_himself() -> None:
    found = candidates(LEFT, None, ["name"], neighbours=2, minimum=0.2)
    similar = cosines(LEFT, LEFT)
    np.fill_diagonal(similar, -1)
    assert (found.left < found.right).all()
    there = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(there) == len(found)
    for row in range(40):
        best = int(similar[row].argmax())
        if (similar[row] == similar[row, best]).sum() == 1 and similar[row, best] > 0.21:
            assert (min(row, best), max(row, best)) in there


def test_misspelt_and_equal_texts_meet_and_strangers_do_not() -> None:
    left = table("l", name=["Nürnberg Hauptbahnhof", "Alpha", "same text"])
    right = table("r", name=["same text", "Nurnberg Hauptbanhof", "Omega"])
    found = candidates(left, right, ["name"], minimum=0.3)
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == [(0, 1), (2, 0)]
    exact = candidates(left, right, ["name"], minimum=1.0)
    assert (exact.left.tolist(), exact.right.tolist()) == ([2], [0])


def test_what_nearly_all_records_share_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "_COMMON", 5)
    left = table("l", name=[f"company {word}" for word in ("abacus", "zephyr")])
    right = table("r", name=[f"company {'xyzw'[row % 4] * 5}{row}" for row in range(50)] + ["abacus company"])
    found = candidates(left, right, ["name"], minimum=0.05)
    assert (found.left.tolist(), found.right.tolist()) == ([0], [50])


def test_records_with_nothing_but_missing_values_meet_nobody() -> None:
    left = table("l", name=["", "Alpha"])
    found = candidates(left, table("r", name=["", "Alpha"]), ["name"])
    assert (found.left.tolist(), found.right.tolist()) == ([1], [1])
    with pytest.raises(BadInput, match="l: nothing but missing values in name; choose other attributes"):
        candidates(table("l", name=["", ""]), None, ["name"])


def test_settings_that_cannot_be_are_one_line() -> None:
    with pytest.raises(BadInput, match="give at least 1 neighbour, a minimum above 0"):
        candidates(LEFT, RIGHT, ["name"], neighbours=0)
    with pytest.raises(BadInput, match="no attribute to compare"):
        candidates(LEFT, RIGHT, [])


def test_the_report_counts_matches_found_and_pairs_left_out() -> None:
    found = pairs((0, 0), (0, 1), (2, 2))
    truth = pairs((0, 0), (0, 1), (1, 1), (0, 0), labels=[1, 0, 1, 1])
    report = blocking_report(found, LEFT, RIGHT, truth)
    assert (report.candidates, report.possible, report.matches) == (3, 2400, 2)
    assert (report.recall, report.reduction) == (0.5, 1 - 3 / 2400)
    assert report.missed.tolist() == [2]


def test_within_one_table_a_pair_is_possible_once() -> None:
    assert blocking_report(pairs((0, 1)), LEFT, None).possible == 40 * 39 // 2


def test_without_known_matches_there_is_no_recall() -> None:
    assert blocking_report(pairs(), LEFT, RIGHT).recall is None
    assert blocking_report(pairs(), LEFT, RIGHT, pairs((0, 0), labels=[0])).recall is None
    assert blocking_report(pairs(), table(x=["a"]), None).reduction == 0.0
