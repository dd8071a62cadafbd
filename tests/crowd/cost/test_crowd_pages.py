"""Pages: every pair stands on one, none is too long, and few are needed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations

import numpy as np
import pytest

from tasks.crowd.cost import pages as cost_pages
from tasks.crowd.cost.pages import page_of, pages
from tasks.records import BadInput

Shape = Callable[[int], tuple[np.ndarray, np.ndarray]]


def fewest(ends: np.ndarray, records: int, most: int) -> int:
    """Of all ways, the one with the fewest pages."""
    choices = [frozenset(one) for one in combinations(range(records), most)]
    wanted = [set(one) for one in ends.tolist()]
    for count in range(1, len(wanted) + 1):
        for chosen in combinations(choices, count):
            if all(any(pair <= page for page in chosen) for pair in wanted):
                return count
    raise AssertionError


@pytest.mark.parametrize("seed", range(12))
def test_every_pair_is_on_a_page_and_pages_are_nearly_as_few_as_can_be(seed: int) -> None:
    random = np.random.default_rng(seed)
    every = np.array(list(combinations(range(7), 2)))
    ends = every[random.permutation(len(every))[: random.integers(4, 12)]]
    made = pages(ends[:, 0], ends[:, 1], 4)
    place = page_of(ends[:, 0], ends[:, 1], made)
    assert max(map(len, made)) <= 4
    assert all(set(pair) <= set(made[page]) for pair, page in zip(ends.tolist(), place.tolist(), strict=True))
    assert len(made) <= fewest(ends, 7, 4) + 1


def test_small_groups_share_pages_and_large_ones_are_cut() -> None:
    groups = [range(start, start + 5) for start in range(0, 50, 5)]
    ends = np.array([pair for group in groups for pair in combinations(group, 2)])
    assert len(pages(ends[:, 0], ends[:, 1], 10)) == 5
    large = np.array(list(combinations(range(100), 2)))
    made = pages(large[:, 0], large[:, 1], 10)
    assert 110 <= len(made) < len(large) / 20  # no way has fewer than 4,950 / 45
    with pytest.raises(BadInput, match="a pair needs two"):
        pages(ends[:, 0], ends[:, 1], 1)


def test_each_piece_begins_with_the_record_that_has_most_pairs_open() -> None:
    hub = [(3, other) for other in (4, 5, 6, 7, 8)]
    ends = np.array([(0, 1), (1, 2), (2, 3), *hub, (8, 9), (9, 10), (10, 11)])
    assert pages(ends[:, 0], ends[:, 1], 4)[0] == [3, 4, 5, 6]


@pytest.mark.parametrize("seed", range(40))
def test_pieces_are_those_of_looking_at_everything_each_time(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed)
    share = np.arange(1, 41) ** -1.5  # some records have very many pairs
    ends = np.stack([random.choice(40, 120, p=share / share.sum()), random.integers(0, 40, 120)])
    left, right = ends[:, ends[0] != ends[1]]
    made = pages(left, right, 6)
    monkeypatch.setattr(cost_pages, "_grown", grown_plainly)
    assert made == pages(left, right, 6)


def grown_plainly(rest: dict[int, set[int]], start: int, most: int, partners: object) -> set[int]:
    piece = {start}
    while len(piece) < most and (others := set().union(*(rest[one] for one in piece)) - piece):
        piece.add(min(others, key=lambda one: (-len(rest[one] & piece), len(rest[one] - piece), one)))
    return piece


def chain(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count), np.arange(count) + 1


def star(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(count, dtype=np.int64), np.arange(count) + 1


def wheel(count: int) -> tuple[np.ndarray, np.ndarray]:
    """One record beside everything, the others in pairs."""
    left, right = star(count)
    return np.concatenate([left, right[::2]]), np.concatenate([right, right[1::2]])


class Counted(set):
    """A set that counts what is put into it."""

    work = 0

    def __init__(self, given: Iterable[int] = ()) -> None:
        super().__init__(given)
        Counted.work += len(self)


@pytest.mark.parametrize("shape", [chain, star, wheel])
def test_work_grows_as_the_pairs_do(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_pages, "set", Counted, raising=False)
    calls = []
    for count in (500, 4000):
        left, right = shape(count)
        events, Counted.work = Counter[str](), 0
        sys.setprofile(lambda frame, event, argument, events=events: events.update([event]))
        try:
            page_of(left, right, pages(left, right, 10))
        finally:
            sys.setprofile(None)
        calls.append(events["call"] + events["c_call"] + Counted.work)
    assert calls[1] < 9 * calls[0]  # 64 times, were all records looked at for each page
