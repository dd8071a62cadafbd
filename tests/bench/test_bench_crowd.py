"""The benches of patterns and of entity collection on tiny crowds."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.crowd.patterns.transactions import significant_rules
from tests.bench import discover, patterns
from tests.bench.planted import planted


def test_planted_rules_are_significant_and_frequencies_differ_between_workers():
    data = planted(0, workers=20, occasions=30, items=20, rules=4)
    assert data.done.shape == (600, 20)
    assert significant_rules(data, 0.1, 0.3, 3)
    shares = data.shares([int(data.done.mean(axis=0).argmax())])
    assert np.ptp(shares) > 0.1
    assert (planted(1).done != planted(2).done).any()


def test_patterns_are_measured_by_policy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patterns, "QUESTIONS", (10, 20, 30))
    rows = []
    for seed in (0, 1):
        data = planted(seed, workers=15, occasions=30, items=20, rules=4)
        truth = set(significant_rules(data, patterns.THETA_S, patterns.THETA_C, patterns.MOST))
        highest = {"ceiling": patterns.ceiling(data, truth)}
        names = ("expected error", "random", patterns.EXACT)
        rows += [{**patterns.measure(name, seed, data, truth), **highest} for name in names]
    assert all([point["asked"] for point in row["points"]] == [10, 20, 30] for row in rows)
    assert all(0 <= point["f1"] <= 1 and point["open"] <= 4 for row in rows for point in row["points"])
    assert all(0.5 < row["ceiling"] <= 1 for row in rows)
    page = patterns.page(rows)
    assert page.count("| expected error |") == 6
    assert "2 seeds" in page


def test_entity_collection_is_measured_by_estimate_and_stop(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "ENTITIES": 40,
        "WORKERS": 60,
        "SAMPLES": (50, 100),
        "EXPONENTS": (0.5,),
        "STREAK": 20,
    }.items():
        monkeypatch.setattr(discover, name, value)
    rows = [discover.measure(0.5, streakers, seed) for streakers in (0, 2) for seed in (0, 1)]
    assert all(row["stops"]["entities, lower bound"]["answers"] >= 40 for row in rows)
    assert rows[0]["samples"]["100"]["number"].keys() == {discover.OURS, *discover.ESTIMATES}
    page = discover.page(rows)
    assert page.count("| chao84 |") == 2
    assert "2 seeds" in page
