"""The band in which the matcher is unsure: its promise kept over many samples, and nothing promised without labels."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.records import BadInput
from tasks.routing import choose_band


def population(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of a matcher that is right more often than not."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.3).astype(int)
    return np.clip(random.normal(0.3 + 0.4 * labels, 0.18), 0, 1), labels


def test_the_share_decided_wrongly_is_exceeded_no_more_often_than_said() -> None:
    """Over 400 samples of 200 labels, with confidence 0.8: at most a fifth, and some luck."""
    probabilities, labels = population(100_000, 0)
    random = np.random.default_rng(1)
    broken, asked = 0, []
    for _ in range(400):
        sample = random.choice(len(labels), 200)
        band = choose_band(probabilities[sample], labels[sample], error=0.06, confidence=0.8)
        decided = band.decisions(probabilities)
        broken += ((decided >= 0) & (decided != labels)).mean() > 0.06
        asked.append((decided < 0).mean())
    assert broken / 400 <= 0.2 + 0.05
    assert np.mean(asked) < 0.6  # it does decide


def test_with_too_few_labels_all_is_asked_and_how_many_it_takes_is_said() -> None:
    probabilities = np.array([0.0, 0.0, 0.0, 1.0, 1.0] * 20)
    labels = np.array([0, 0, 0, 1, 1] * 20)
    few = choose_band(probabilities[:40], labels[:40])
    assert (few.decisions(np.array([0.0, 0.5, 1.0])) == -1).all()
    assert few.wanted == 119
    enough = choose_band(np.resize(probabilities, 119), np.resize(labels, 119))
    assert enough.decisions(np.array([0.0, 1.0])).tolist() == [0, 1]
    barely = choose_band(np.resize(probabilities, 118), np.resize(labels, 118))
    assert (barely.decisions(np.array([0.0, 1.0])) == -1).all()


def test_errors_in_the_sample_bound_the_band() -> None:
    """With 119 labels not one error is allowed: the band begins below the least likely match, and ends above the likeliest other."""
    probabilities = np.concatenate([np.linspace(0.0, 0.6, 80), np.linspace(0.4, 1.0, 39)])
    labels = np.repeat([0, 1], [80, 39])
    band = choose_band(probabilities, labels)
    assert band.decisions(np.array([0.399, 0.4, 0.6, 0.601])).tolist() == [0, -1, -1, 1]


def test_a_matcher_without_errors_leaves_nothing_to_ask() -> None:
    probabilities, labels = np.repeat([0.2, 0.9], 100), np.repeat([0, 1], 100)
    band = choose_band(probabilities, labels)
    assert band.decisions(np.array([0.0, 0.2, 0.49, 0.5, 0.9])).tolist() == [0, 0, 0, 1, 1]
    assert band.to_ask(probabilities).tolist() == []


def test_the_most_unsure_are_asked_about_first() -> None:
    band = choose_band(np.zeros(3), np.zeros(3))
    assert band.to_ask(np.array([0.9, 0.45, 0.1, 0.5])).tolist() == [3, 1, 0, 2]


def test_what_cannot_be_promised_is_one_line() -> None:
    with pytest.raises(BadInput, match="routing with error 0 and confidence"):
        choose_band(np.zeros(3), np.zeros(3), error=0)
    with pytest.raises(BadInput, match="routing: 2 labels for 3 pairs"):
        choose_band(np.zeros(3), np.zeros(2))
    assert choose_band(np.zeros(0), np.zeros(0)).to_ask(np.array([0.5])).tolist() == [0]
