"""The arithmetic of the linear datamodelling score, and a stopped run that continues without training anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.select.influence.factors import fit_factors
from tasks.select.influence.scores import Curvature, reference_direction, stream_scores
from tasks.train.format import from_sequences
from tests.bench import datamodels, influence, lds

HALVES, QUERIES, DOCUMENTS = 40, 30, 60


@pytest.fixture
def linear() -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """True scores (q, n), losses (s, q) that fall by their sums exactly, and the halves."""
    scores = np.random.default_rng(0).normal(size=(QUERIES, DOCUMENTS))
    halves = [lds.half(number, DOCUMENTS) for number in range(HALVES)]
    return scores, 100.0 - datamodels.foretold(scores, halves), halves


def test_scores_that_losses_follow_have_an_lds_of_one(linear: Any) -> None:
    scores, losses, halves = linear
    assert datamodels.lds(losses, datamodels.foretold(scores, halves)) == pytest.approx(1.0)
    assert datamodels.lds(losses, datamodels.foretold(-scores, halves)) == pytest.approx(-1.0)
    assert (
        datamodels.lds(losses, datamodels.foretold(np.exp(scores), halves)) < 0.99
    )  # sums are compared, not scores


def test_scores_that_know_nothing_have_an_lds_of_about_zero(linear: Any) -> None:
    scores, losses, halves = linear
    random = np.random.default_rng(1).normal(size=scores.shape)
    assert abs(datamodels.lds(losses, datamodels.foretold(random, halves))) < 0.1
    assert datamodels.lds(losses, datamodels.foretold(np.ones_like(scores), halves)) == 0.0


def test_halves_are_random_and_always_the_same() -> None:
    first, again, other = (lds.half(number, 9) for number in (0, 0, 1))
    assert len(first) == len(set(first)) == 4
    assert (first == again).all()
    assert (first != other).any()


def test_the_bootstrap_interval_holds_the_estimate_and_pairs_what_it_compares(linear: Any) -> None:
    scores, losses, halves = linear
    noise = np.random.default_rng(2).normal(size=losses.shape)
    losses = losses + 5 * noise
    half_right = scores + np.random.default_rng(3).normal(size=scores.shape)
    sums = {
        "true": datamodels.foretold(scores, halves),
        "half right": datamodels.foretold(half_right, halves),
    }
    drawn = datamodels.resampled(losses, sums, 300)
    for name, own in sums.items():
        low, high = datamodels.interval(drawn[name])
        assert low < datamodels.lds(losses, own) < high
        assert high - low < 0.3
    low, high = datamodels.interval(drawn["true"] - drawn["half right"])
    assert 0 < low < datamodels.lds(losses, sums["true"]) - datamodels.lds(losses, sums["half right"]) < high
    assert (datamodels.resampled(losses, sums, 300)["true"] == drawn["true"]).all()


def test_the_ceiling_is_what_perfect_scores_reach_in_spite_of_the_noise() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(400, QUERIES))
    losses = truth + random.normal(size=(2, *truth.shape))  # half of the variance of a training is noise
    agree, most = datamodels.agreement(losses)
    assert agree == pytest.approx(0.5, abs=0.05)
    assert most == pytest.approx(datamodels.lds(losses.mean(axis=0), -truth), abs=0.03)
    assert np.isnan(datamodels.agreement(losses[:1])).all()


def test_pairwise_scores_are_those_of_the_product() -> None:
    model = influence.make_model("llama", 32, 2, 64)
    documents, queries = (
        from_sequences(influence.make_sequences(count, seed, 64, 6, 24), [prompt] * count)
        for count, seed, prompt in ((20, 1, 0), (3, 2, 4))
    )
    factors = fit_factors(model, documents, "all")
    found = lds.pairwise_scores(model, documents, queries, Curvature("all"), factors)
    direction = reference_direction(model, lds.take(queries, [1]), Curvature("all"), factors)
    assert np.abs(found[1] - stream_scores(model, direction, documents)).max() < 1e-5 * np.abs(found).max()


def test_a_stopped_run_trains_only_what_is_missing(tmp_path: Path) -> None:
    asked: list[tuple[int, ...]] = []

    def train(rows: Any, seed: int) -> dict[str, Any]:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append((seed, *rows))
        return {"losses": [float(len(asked))] * (2 * lds.QUERIES)}

    with pytest.raises(KeyboardInterrupt):
        lds.retrain(tmp_path, 2, 2, train)
    before, asked[:] = list(asked), []
    lds.retrain(tmp_path, 2, 2, train)
    assert len(before) == 3
    assert len(asked) == 1
    assert len({*before, *asked}) == 4
    numbers, losses = lds.outcomes(tmp_path, 2, 2)
    assert numbers.tolist() == [0, 1]
    assert losses[:, :, 0].tolist() == [[1.0, 2.0], [3.0, 1.0]]
    lds.retrain(tmp_path, 2, 2, train)
    assert len(asked) == 1
