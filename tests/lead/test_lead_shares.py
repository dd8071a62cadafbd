"""What the clusters' draws begin at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tasks.lead import difficulty
from tasks.lead.difficulty import SHARES, Looked, first_shares, looked
from tasks.lead.reference import Reference
from tasks.lead.settings import ChoosingSettings
from tasks.records import BadInput
from tasks.select.coverage import Coverage
from tasks.storage.arrays import load_array
from tasks.train.format import from_sequences
from tests.lead.prepared import Prepared

LABELS = np.repeat([0, 1, 2], [60, 20, 20]).astype(np.int32)


def seen(reference: Reference | None = None, covered: bool = True) -> Looked:
    """100 examples of three clusters: 60 without order, 20 that are like them, and 20 that others' bigrams say nothing of."""
    random = np.random.default_rng(0)
    common = [random.integers(0, 6, 12).tolist() for _ in range(80)]
    alone = [list(range(100 + 20 * row, 112 + 20 * row)) for row in range(20)]
    coverage = Coverage.of(from_sequences([*common, *alone], [0] * 100)) if covered else None
    return Looked(np.ones(100), None, reference, coverage)


def shares(known: Looked, share: float = 0.2, **settings: Any) -> np.ndarray:
    return first_shares(LABELS, 3, known, share, ChoosingSettings(**settings))


def test_with_a_reference_it_is_what_coverage_would_take_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = seen(Reference(np.zeros(4), None))
    found = shares(known)
    assert found[2] == pytest.approx(0.2)  # nothing of it, and its part of the one that all share
    assert found.sum() == pytest.approx(21)
    assert found[0] > found[1] > 1
    monkeypatch.setattr(difficulty, "_SAMPLE", 50)  # of a large pool among some of the examples
    assert shares(known).sum() == pytest.approx(11)


def test_among_a_part_of_a_large_pool_they_are_as_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is much alike less and less is wanted, in absolute counts: a part's examples stand for all."""
    random = np.random.default_rng(1)
    few, many = (
        [random.integers(begin, begin + kinds, 12).tolist() for _ in range(1500)]
        for begin, kinds in ((0, 4), (10, 60))
    )
    pool = from_sequences([*few, *many], [0] * 3000)
    coverage = Coverage.of(pool, from_sequences([*few[:30], *many[:30]], [0] * 60))
    known = Looked(np.ones(3000), None, Reference(np.zeros(4), None), coverage)
    labels = np.repeat([0, 1], 1500)
    found = []
    for sample in (3000, 300):
        monkeypatch.setattr(difficulty, "_SAMPLE", sample)
        own = first_shares(labels, 2, known, 0.2, ChoosingSettings())
        found.append(own[0] / own.sum())
    assert found[1] == pytest.approx(found[0], rel=0.15)


def test_or_what_would_be_drawn_of_it_and_without_one_its_size() -> None:
    weights = np.where(LABELS == 1, 4.0, 0.25)
    drawn = Reference(np.zeros(4), weights)
    assert shares(seen(drawn, covered=False)).tolist() == [15, 80, 5]
    assert shares(seen(covered=False)).tolist() == [60, 20, 20]
    assert shares(seen()).tolist() == [60, 20, 20]
    assert shares(seen(drawn, covered=False), start="even").tolist() == [1, 1, 1]


def test_a_run_keeps_them_and_is_not_gone_on_with_without(prepared: Callable[..., Prepared]) -> None:
    own = prepared()
    labels = load_array(own.run / difficulty.LABELS)
    known, budget = looked(own.run, own.settings), own.settings.budget
    expected = first_shares(labels, int(labels.max()) + 1, known, budget, own.settings)
    assert load_array(own.run / SHARES).tolist() == expected.tolist()
    (own.run / SHARES).unlink()
    with pytest.raises(BadInput, match="begun by an older Sluice; start a new run"):
        own.round()
