"""The bench of wrong events: its labels are as wrong as they should be, and its tables say what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.noisy_labels import NOISES, digits, made_wrong, with_validation
from tests.bench.wrong_event import tables


@pytest.mark.parametrize("noise", NOISES)
def test_labels_are_as_wrong_as_the_noise_says(noise):
    split = digits()
    task = made_wrong(split, noise, 1)
    assert task.wrong.mean() == pytest.approx(int(noise.split()[1]) / 100, abs=0.04)
    again = made_wrong(split, noise, 1)
    assert (task.given == again.given).all()
    assert (task.given != made_wrong(split, noise, 2).given).any()
    steps = (task.given - split.labels)[task.wrong] % 10
    if noise.startswith("asym"):
        assert set(steps) == {1}
    else:
        assert len(set(steps)) == 9


def test_the_test_part_is_the_same_for_every_seed_and_never_part_of_the_validation():
    split = digits()
    assert (split.test == digits().test).all()
    held = {row.tobytes() for row in with_validation(split, 3).test.numpy()}
    assert held <= {row.tobytes() for row in split.train.numpy()}
    assert not held & {row.tobytes() for row in split.test.numpy()}
    assert abs(float(split.train.mean())) < 1e-4


def test_tables_mark_the_best_of_each_noise_and_give_time_as_a_share():
    rows = [
        {
            "data": "d",
            "noise": noise,
            "method": method,
            "seed": seed,
            "accuracy": value,
            "auc": value,
            "cpu": cpu,
        }
        for noise, values in (("sym 20", (0.9, 0.8)), ("sym 40", (0.5, 0.7)))
        for method, value, cpu in zip(("wrong events", "divide-mix"), values, (2.0, 10.0), strict=True)
        for seed in range(2)
    ]
    text = tables(rows)
    assert "| d | wrong events | **90.0 ± 0.0** | 50.0 ± 0.0 | 70.0 |" in text
    assert "| d | divide-mix | 80.0 ± 0.0 | **70.0 ± 0.0** | 75.0 |" in text
    assert "| d | wrong events | 2.0 | 20% |" in text
    assert np.char.count(text, "### d") == 3
