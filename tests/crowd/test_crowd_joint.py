"""A classifier and confusion matrices in turns, other methods by name, and what becomes of items that nobody answered."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from crowded import accuracy, crowded

from tasks.crowd.answers import Answers, answers_of
from tasks.crowd.learn import crowdlab
from tasks.crowd.learn.joint import (
    STRENGTH,
    answer_likelihood,
    expected_counts,
    infer_jointly,
    infer_pooled,
    prior_of,
    shrunk,
    temperature_of,
)
from tasks.crowd.learn.methods import METHODS, entropy, probabilities, train
from tasks.crowd.learn.problem import Learned, Problem
from tasks.crowd.learn.unlabelled import targets_of
from tasks.crowd.truth.inferred import vote_shares
from tasks.records import BadInput


def test_matrices_of_workers_shrink_to_that_of_all():
    answers = answers_of(["1", "1", "2", "2"], ["x", "y", "x", "y"], ["a", "a", "b", "a"])
    posterior = np.array([[1.0, 0.0], [0.0, 1.0]])
    counts = expected_counts(answers, posterior)
    np.testing.assert_array_equal(counts, [[[1, 0], [0, 1]], [[1, 0], [1, 0]]])
    pooled = np.array([[2.1, 0.1], [1.1, 1.1]]) / 2.2
    np.testing.assert_allclose(shrunk(answers, posterior), (counts + STRENGTH * pooled) / (STRENGTH + 1))
    known = np.array([[[3, 1], [1, 3]], np.zeros((2, 2))])
    prior = prior_of(known)
    np.testing.assert_allclose(prior[1], STRENGTH * np.array([[3.1, 1.1], [1.1, 3.1]]) / 4.2)
    np.testing.assert_allclose(prior[0], known[0] + prior[1])
    total = counts + prior
    np.testing.assert_allclose(shrunk(answers, posterior, prior), total / total.sum(axis=2, keepdims=True))


def test_the_likelihood_of_answers_is_the_product_over_workers():
    answers = answers_of(["1", "1", "2"], ["x", "y", "y"], ["a", "b", "a"])
    confusion = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    found = np.exp(answer_likelihood(answers, confusion))
    np.testing.assert_allclose(found, [[0.9 * 0.4, 0.3 * 0.8], [0.6, 0.2]])


def test_the_temperature_of_a_classifier_that_is_too_sure_is_found_from_answers():
    random = np.random.default_rng(0)
    logits = random.normal(size=(6000, 3)) * 1.5
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (random.random((6000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    given = np.where(random.random(6000) < 0.8, truth, (truth + 1) % 3)
    task = np.arange(6000)
    answers = Answers(task, task % 4, given, [*map(str, task)], list("wxyz"), list("abc"))
    confusion = np.repeat([0.8 * np.eye(3) + 0.2 * np.roll(np.eye(3), 1, axis=1)], 4, axis=0)
    assert temperature_of(3 * np.log(chances), answers, np.maximum(confusion, 1e-10)) == pytest.approx(
        3, rel=0.15
    )


@pytest.mark.parametrize("each", [1, 3])
def test_features_help_where_answers_are_few(each):
    problem, truth = crowded(each)
    learned = infer_jointly(problem, 2)
    votes = accuracy(vote_shares(problem.answers), truth)
    assert accuracy(learned.posterior, truth) > max(0.93, votes + 0.05)
    assert learned.confusion is not None
    assert learned.confusion[0, 0, 1] > 0.5  # worker 0 answers the next label
    everything = probabilities(problem, learned, train(problem, learned))
    assert accuracy(everything, truth) > 0.93
    np.testing.assert_allclose(everything.sum(axis=1), 1, atol=1e-6)


def test_the_same_seed_gives_the_same_labels():
    problem, _ = crowded()
    one, other = infer_jointly(problem, 1), infer_jointly(problem, 1)
    np.testing.assert_array_equal(one.posterior, other.posterior)


def test_what_is_known_of_workers_helps_where_each_item_has_one_answer():
    problem, truth = crowded(each=1)
    known = prior_of(expected_counts(problem.answers, np.eye(3)[truth[:180]]))
    assert accuracy(infer_pooled(replace(problem, prior=known)).posterior, truth) > (
        accuracy(infer_pooled(problem).posterior, truth) + 0.1
    )


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("joint", "crowdlab")])
def test_every_method_gives_probabilities_and_a_network(name):
    problem, truth = crowded(each=3)
    learned = METHODS[name](problem)
    np.testing.assert_allclose(learned.posterior.sum(axis=1), 1)
    assert accuracy(probabilities(problem, learned, train(problem, learned))[180:], truth[180:]) > 0.9


def test_pseudo_labels_are_those_the_network_is_sure_of():
    problem, truth = crowded(each=3)
    learned = METHODS["ds"](problem)
    places, targets = targets_of(problem, learned, "pseudo")
    added = places[180:]
    assert len(added) > 10
    assert set(added) <= set(problem.others)
    assert (targets[180:].max(axis=1) >= 0.95).all()
    assert (targets[180:].argmax(axis=1) == truth[added]).mean() > 0.9
    assert len(targets_of(problem, learned, "none")[0]) == 180


def test_labels_spread_to_the_nearest_neighbours():
    values = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]], np.float32)
    answers = answers_of(["p", "q"], ["x", "x"], ["a", "b"])
    problem = Problem(values, answers, np.array([0, 5]))
    places, targets = targets_of(problem, Learned(np.eye(2)), "spread")
    order = np.argsort(places)
    assert targets[order].argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]


def test_what_to_ask_next_is_what_is_least_sure():
    assert entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist() == pytest.approx([np.log(2), 0])


def test_crowdlab_without_cleanlab_is_one_line(monkeypatch):
    monkeypatch.setattr(crowdlab.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="--method crowdlab: needs cleanlab"):
        METHODS["crowdlab"](crowded()[0])


@pytest.mark.skipif(importlib.util.find_spec("cleanlab") is None, reason="cleanlab is not installed")
def test_crowdlab_labels_better_than_votes():
    problem, truth = crowded(each=2)
    votes = accuracy(vote_shares(problem.answers), truth)
    assert accuracy(METHODS["crowdlab"](problem).posterior, truth) > votes
    with pytest.raises(BadInput, match="no item has two answers"):
        METHODS["crowdlab"](crowded(each=1)[0])
