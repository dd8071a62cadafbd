"""Rows with labels of which some are wrong."""

from __future__ import annotations

import numpy as np
import torch

from tasks.classify.inputs import Vectors


def blobs(noise: float = 0.3, count: int = 240, apart: float = 2.5) -> tuple[Vectors, np.ndarray, np.ndarray]:
    """Three well-separated classes, their labels with some wrong ones, and which are wrong."""
    random = np.random.default_rng(5)
    truth = random.integers(0, 3, count)
    values = random.normal(size=(count, 8)) + apart * np.eye(8)[truth]
    wrong = random.random(count) < noise
    labels = np.where(wrong, (truth + random.integers(1, 3, count)) % 3, truth)
    values = values - values.mean(axis=0)
    return Vectors(torch.from_numpy(values.astype(np.float32))), labels, wrong
