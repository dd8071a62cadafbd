"""TSDS's order: by hand, against its transport problem, and with near-duplicates that count once."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.select.tsds import _density, tsds_scores


def on_circle(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_every_example_takes_its_nearest_documents_in_turn() -> None:
    vectors = on_circle(*range(0, 360, 3))  # 120 documents, 12 neighbours an example
    order = np.argsort(-tsds_scores(vectors, on_circle(0.4, 179.6), sigma=0.01))
    degrees = (3 * order[:6]).tolist()
    assert {frozenset(degrees[at : at + 2]) for at in (0, 2, 4)} == {
        frozenset({0, 180}),
        frozenset({3, 177}),
        frozenset({357, 183}),
    }


def test_a_document_waits_for_the_mass_that_nearer_ones_take() -> None:
    """The score is minus the least mass, over the examples, that nearer neighbours have taken: sums of 1 / density."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    reference, found = vectors[:3] + 0.01, tsds_scores(vectors, vectors[:3] + 0.01)
    nearest = np.argsort(-(reference @ vectors.T), axis=1)[:, :6]
    density = np.ones(60)
    density[np.unique(nearest)] = _density(vectors[np.unique(nearest)], 0.75)
    expected: dict[int, float] = {}
    for own in nearest:
        spent = 0.0
        for row in own.tolist():
            expected[row] = min(expected.get(row, np.inf), spent)
            spent += 1 / density[row]
    for row, entered in expected.items():
        assert -found[row] == pytest.approx(entered, abs=1e-5)
    others = [row for row in range(60) if row not in expected]
    assert found[others].max() < min(found[list(expected)])


def test_near_duplicates_take_the_mass_of_one_document() -> None:
    """Ten copies in front of one other document: it comes as soon as it would behind one of them."""
    copies, other = on_circle(*np.linspace(0, 0.9, 10)), on_circle(20)
    rest = on_circle(*np.linspace(120, 240, 200))
    crowded = tsds_scores(np.concatenate([copies, other, rest]), on_circle(0), sigma=0.2)
    alone = tsds_scores(np.concatenate([copies[:1], other, rest]), on_circle(0), sigma=0.2)
    assert crowded[10] == pytest.approx(alone[1], abs=0.05)


def test_density_counts_near_documents_by_their_nearness() -> None:
    vectors = on_circle(0, 0, 90)
    assert _density(vectors, 1.0).tolist() == pytest.approx([2.0, 2.0, 1.0])
