"""DBSCAN against scikit-learn's, whose noise is made clusters of one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from tasks.match import dbscan as module
from tasks.match.dbscan import dbscan


def reference(points: np.ndarray, eps: float, min_samples: int) -> np.ndarray:
    labels = DBSCAN(eps=eps, min_samples=min_samples).fit_predict(points)
    noise = labels == -1
    labels[noise] = labels.max() + 1 + np.arange(noise.sum())
    return labels


@pytest.mark.parametrize("min_samples", [1, 3, 8])
@pytest.mark.parametrize("eps", [0.02, 0.06, 0.1, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_clusters_are_those_of_scikit_learn(
    eps: float, min_samples: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 1000)  # several chunks, whose clusters have to grow together
    points = np.random.default_rng(seed).random((300, 2)).round(2)  # some are equal
    assert dbscan(points, eps, min_samples).tolist() == reference(points, eps, min_samples).tolist()


def test_many_dimensions_are_clustered_too() -> None:
    random = np.random.default_rng(0)
    points = np.repeat(random.normal(size=(5, 40)), 20, axis=0) + 0.01 * random.normal(size=(100, 40))
    assert dbscan(points, 0.5, 8).tolist() == reference(points, 0.5, 8).tolist()


def test_at_distance_zero_equal_points_share_a_cluster() -> None:
    assert dbscan(np.array([[0.0], [1.0], [0.0], [2.0]]), 0.0).tolist() == [0, 1, 0, 2]


def test_one_point_and_none_are_no_trouble() -> None:
    assert dbscan(np.zeros((1, 3)), 0.1, 8).tolist() == [0]
    assert dbscan(np.zeros((0, 3)), 0.1).tolist() == []
