"""Quad's bandit: its formula, what neighbours learn from a visit, its intervals, and that it finds what is worth buying."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.stats

from tasks.records import BadInput
from tasks.select.lsa import unit_rows
from tasks.select.neighbours import NeighbourBandit, find_neighbours, interval


def circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def make(
    sizes: list[int], centroids: np.ndarray | None = None, alpha: float = 1.0, **given: float
) -> NeighbourBandit:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = circle(*np.linspace(0, 180, len(sizes))) if centroids is None else centroids
    return NeighbourBandit(labels, find_neighbours(found, **given), alpha=alpha, seed=0)


def test_neighbours_are_within_the_radius_and_weigh_less_the_farther_they_are() -> None:
    found = find_neighbours(circle(0, 20, 40, 120), radius=0.1)
    near = 1 - math.cos(math.radians(20))
    others, weights = found.of(1)
    assert others.tolist() == [0, 1, 2]
    assert weights == pytest.approx([1 - near / 0.1, 1.0, 1 - near / 0.1])
    assert found.of(3)[0].tolist() == [3]
    assert found.of(3)[1].tolist() == [1.0]


def test_the_default_radius_gives_half_of_the_clusters_a_neighbour() -> None:
    centroids = unit_rows(np.random.default_rng(0).normal(size=(60, 8)))
    found = find_neighbours(centroids)
    alone = sum(len(found.of(cluster)[0]) == 1 for cluster in range(60))
    assert 15 <= alone <= 45


@pytest.mark.parametrize("count", [1, 2])
def test_a_cluster_is_its_own_neighbour_however_few_there_are(count: int) -> None:
    found = find_neighbours(circle(*range(count)))
    assert all(cluster in found.of(cluster)[0] for cluster in range(count))


def test_the_score_is_the_papers() -> None:
    bandit = make([50, 50, 50], radius=1e-6, alpha=0.3)
    for cluster, scores in ((0, [1.0, 3.0]), (1, [0.5, 0.5]), (2, [4.0]), (0, [1.0, 1.0])):
        bandit.observe(cluster, np.array(scores), tau=0.5)
    found = {visit.cluster: visit for visit in bandit.choose(3, 1)}
    assert [visit.exploit for _, visit in sorted(found.items())] == pytest.approx([1.0, 0.0, 3.5])
    wanted = [0.3 * math.sqrt(2 * math.log(4) / visits) for visits in (2, 1, 1)]
    assert [visit.bonus for _, visit in sorted(found.items())] == pytest.approx(wanted)
    assert list(found) == [2, 0, 1]


def test_neighbours_are_told_of_a_visit_and_need_none_of_their_own() -> None:
    bandit = make([5, 5, 5], circle(0, 10, 90), radius=0.1)
    reward = bandit.observe(0, np.array([2.0, 4.0]), tau=1.0)
    assert reward == 2.0
    weight = 1 - (1 - math.cos(math.radians(10))) / 0.1
    assert bandit.rewards == pytest.approx([2.0, 2.0 * weight, 0.0])
    assert bandit.told.tolist() == [1, 1, 0]
    assert bandit.visits.tolist() == [1, 0, 0]
    assert bandit.choose(1, 1)[0].cluster == 2  # neither it nor a neighbour was visited
    assert math.isinf(bandit.choose(1, 1)[0].bonus)


def test_every_document_is_handed_out_once_and_the_smallest_cluster_too() -> None:
    sizes = [7, 1, 4, 12]
    bandit = make(sizes)
    seen: list[int] = []
    while visits := bandit.choose(2, 3):
        assert len({visit.cluster for visit in visits}) == len(visits)
        for visit in visits:
            assert set(bandit.labels[visit.rows]) == {visit.cluster}
            seen += visit.rows.tolist()
            bandit.observe(visit.cluster, np.ones(len(visit.rows)), tau=0.0)
    assert sorted(seen) == list(range(sum(sizes)))
    assert bandit.left.tolist() == [0, 0, 0, 0]


def test_a_state_goes_on_as_if_there_had_been_no_break() -> None:
    def visited(bandit: NeighbourBandit, rounds: int) -> list[tuple[int, list[int]]]:
        found = []
        for _ in range(rounds):
            for visit in bandit.choose(2, 2):
                bandit.observe(visit.cluster, np.sin(visit.rows), tau=0.1)
                found.append((visit.cluster, visit.rows.tolist()))
        return found

    sizes = [9, 9, 9, 9, 9]
    whole = visited(make(sizes), 6)
    first = make(sizes)
    begun = visited(first, 3)
    second = make(sizes)
    second.restore(json.loads(json.dumps(first.state())))
    assert begun + visited(second, 3) == whole
    with pytest.raises(BadInput, match="made for 5 clusters of 45 documents, here are 2 of 8"):
        make([4, 4]).restore(first.state())


def test_an_interval_is_students_with_the_correction_for_a_finite_population() -> None:
    drawn = np.array([1.0, 2.0, 4.0, 5.5])
    low, high = interval(4, drawn.sum(), (drawn**2).sum(), 10**9)
    assert (low, high) == pytest.approx(
        scipy.stats.t.interval(0.95, 3, loc=drawn.mean(), scale=scipy.stats.sem(drawn)), rel=1e-6
    )
    narrow = interval(4, drawn.sum(), (drawn**2).sum(), 5)
    assert (narrow[1] - narrow[0]) == pytest.approx((high - low) * math.sqrt(1 / 5), rel=1e-6)
    assert interval(4, 8.0, 20.0, 4) == (2.0, 2.0)
    assert interval(1, 8.0, 64.0, 4) == (-math.inf, math.inf)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        population = random.normal(size=40)
        drawn = random.choice(population, 8, replace=False)
        low, high = interval(8, drawn.sum(), (drawn**2).sum(), 40, confidence=0.9)
        held += low <= population.mean() <= high
    assert 0.86 <= held / 400 <= 0.94


def test_a_good_neighbourhood_is_found_by_fewer_visits_than_by_chance() -> None:
    """200 clusters on a circle; those within 25 degrees of one place are worth buying."""
    random = np.random.default_rng(2)
    degrees = np.sort(random.uniform(0, 360, 200))
    worth = (np.abs((degrees - 90 + 180) % 360 - 180) < 25).astype(float)
    labels = np.repeat(np.arange(200), 20)
    scores = worth[labels] + random.normal(scale=0.5, size=len(labels))

    def bought(radius: float) -> float:
        bandit = NeighbourBandit(labels, find_neighbours(circle(*degrees), radius), alpha=0.05, seed=3)
        good = 0.0
        for _ in range(15):
            for visit in bandit.choose(10, 5):
                good += worth[visit.cluster] * len(visit.rows)
                bandit.observe(visit.cluster, scores[visit.rows], tau=0.5)
        return good / 750

    alone, together = bought(1e-9), bought(0.02)
    assert together > 1.5 * alone
    assert together > 3 * worth.mean()
