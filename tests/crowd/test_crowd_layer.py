"""The crowd layer, and networks on labels that are probabilities."""

from __future__ import annotations

import numpy as np
import torch
from crowded import QUICK, accuracy, crowded

from tasks.classify.inputs import Vectors
from tasks.classify.networks import probabilities, small_network
from tasks.crowd.learn.crowd_layer import CrowdLayer, fit_crowd_layer, infer_by_layer
from tasks.crowd.learn.network import (
    _Networks,
    cross_fitted,
    fit,
    log_probabilities,
    tempered,
    training_for,
)
from tasks.crowd.truth.inferred import vote_shares
from tasks.run.seeds import integer


def test_a_layer_begins_as_the_identity_and_gives_each_worker_a_matrix_of_his_own():
    layer, p = CrowdLayer(2, 3), torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    torch.testing.assert_close(layer(p, torch.tensor([0, 1])), p)
    with torch.no_grad():
        layer.matrices[1] = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    torch.testing.assert_close(layer(p, torch.tensor([1, 0])), torch.stack([p[0][[1, 2, 0]], p[1]]))


def test_only_answers_that_were_given_change_a_matrix():
    layer = CrowdLayer(3, 2)
    torch.nn.functional.cross_entropy(
        layer(torch.tensor([[0.9, 0.1]]), torch.tensor([1])), torch.tensor([1])
    ).backward()
    assert layer.matrices.grad is not None
    assert layer.matrices.grad[[0, 2]].abs().sum() == 0
    assert layer.matrices.grad[1].abs().sum() > 0


def test_a_crowd_layer_learns_who_answers_something_else_and_labels_better_than_votes():
    problem, truth = crowded(each=2)
    network, layer = fit_crowd_layer(problem.answered, problem.answers, 0, QUICK, 16)
    votes = accuracy(vote_shares(problem.answers), truth)
    assert accuracy(log_probabilities(network, problem.answered), truth) > max(0.93, votes + 0.1)
    turned = layer.matrices[0].detach().numpy()  # worker 0 answers the next label
    assert all(turned[(label + 1) % 3, label] > turned[label, label] for label in range(3))
    assert infer_by_layer(problem).network is not None


def test_networks_side_by_side_say_what_each_alone_says():
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    both = _Networks(2, 4, 3, 8, 7).eval()(torch.from_numpy(values)).softmax(dim=2).detach().numpy()
    for number in range(2):
        alone = small_network(4, 3, integer(7, number), 8)
        np.testing.assert_allclose(
            both[number], probabilities(alone, Vectors(torch.from_numpy(values))), atol=1e-6
        )


def test_a_network_knows_labels_it_has_seen_by_heart_and_cross_fitting_does_not():
    random = np.random.default_rng(1)
    values = random.normal(size=(60, 30)).astype(np.float32)
    labels = np.eye(2)[random.integers(0, 2, 60)]  # that have nothing to do with the values
    training = training_for(60, epochs=60, learning_rate=1e-2, batch=20)
    learnt = log_probabilities(fit(values, labels, 0, training, 32), values)
    unseen = cross_fitted(values, labels, 5, 0, training, 32)
    assert (learnt.argmax(axis=1) == labels.argmax(axis=1)).mean() > 0.95
    assert (unseen.argmax(axis=1) == labels.argmax(axis=1)).mean() < 0.75
    np.testing.assert_allclose(np.exp(unseen).sum(axis=1), 1)


def test_a_network_can_be_tempered_in_place():
    problem, truth = crowded()
    network = fit(problem.answered, np.eye(3)[truth[:180]], 0, QUICK, 16)
    before = log_probabilities(network, problem.answered)
    after = log_probabilities(tempered(network, 2.0), problem.answered)
    wanted = before / 2 - np.log(np.exp(before / 2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(after, wanted, atol=1e-5)


def test_few_rows_get_more_passes_so_that_there_are_steps_enough():
    assert training_for(64 * 300).epochs == 20
    assert training_for(100).epochs == 150
    assert training_for(100, epochs=3).epochs == 3
