"""What rows are trained by: the losses of both stages, and what keeps classes in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.wrong_event.loss import balance, class_shares, dynamic_loss, likely_labels


def test_the_loss_is_that_of_the_formula():
    random = np.random.default_rng(0)
    weak, strong = random.normal(size=(2, 5, 4))
    labels, clean, even = random.integers(0, 4, 5), random.random(5), random.random(5)

    def softmax(logits: np.ndarray) -> np.ndarray:
        exp = np.exp(logits)
        return exp / exp.sum()

    rows = []
    for w, s, label, p, e in zip(weak, strong, labels, clean, even, strict=True):
        q = (softmax(w) + softmax(s)) / 2
        fit = -np.log(softmax(w)[label]) - np.log(softmax(s)[label])
        rows.append(p * fit + e * np.mean((w - s) ** 2) + (1 - p) * q.max() * -(q * np.log(q)).sum())
    given = (torch.tensor(value) for value in (weak, strong, labels, clean, even))
    assert float(dynamic_loss(*given)) == pytest.approx(np.mean(rows))


def test_a_row_that_is_surely_wrong_is_not_learnt_from_but_made_sure():
    logits = torch.tensor([[1.0, 0.5, 0.0]], requires_grad=True)
    label, no, none = torch.tensor([2]), torch.tensor([0.0]), torch.tensor([0.0])
    dynamic_loss(logits, logits, label, no, none).backward()
    assert logits.grad is not None
    # A step down the gradient makes the first choice likelier, whatever the label.
    assert logits.grad[0, 0] < 0 < logits.grad[0, 2]


def test_the_balance_is_the_divergence_of_the_mean_prediction_from_the_shares():
    shares = torch.tensor([0.5, 0.25, 0.25])
    even = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert float(balance(even, shares)) == pytest.approx(0)  # of the mean, not of single rows
    one_sided = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.2, 0.3]])
    mean = np.array([0.6, 0.2, 0.2])
    wanted = float((shares.numpy() * np.log(shares.numpy() / mean)).sum())
    assert float(balance(one_sided, shares)) == pytest.approx(wanted, rel=1e-5)
    given_up = torch.tensor([[1.0, 0, 0]])
    assert 20 < float(balance(given_up, shares)) < torch.inf


def test_the_loss_of_the_second_stage_adds_the_balance_of_both_views_means():
    random = torch.Generator().manual_seed(0)
    weak, strong = torch.randn(2, 6, 3, generator=random)
    labels, shares = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([0.5, 0.3, 0.2])
    rows = weak, strong, labels, torch.rand(6, generator=random), torch.rand(6, generator=random)
    means = (weak.softmax(dim=1) + strong.softmax(dim=1)) / 2
    added = float(dynamic_loss(*rows, shares) - dynamic_loss(*rows))
    assert added == pytest.approx(float(balance(means, shares)), abs=1e-6)


def test_a_row_is_learnt_as_its_label_where_that_is_right_and_else_as_what_both_views_show_sharpened():
    weak, strong = torch.log(torch.tensor([[[0.6, 0.3, 0.1]] * 3, [[0.2, 0.7, 0.1]] * 3]))
    found = likely_labels(weak, strong, torch.tensor([2, 2, 2]), torch.tensor([1.0, 0.0, 0.25]))
    sharpened = np.array([0.4, 0.5, 0.1]) ** 2 / 0.42
    wanted = [[0, 0, 1], sharpened, 0.25 * np.array([0, 0, 1]) + 0.75 * sharpened]
    assert found.numpy() == pytest.approx(np.array(wanted), abs=1e-6)


def test_the_shares_of_classes_are_even_where_they_differ_by_chance_and_else_nearly_the_roots_of_their_numbers():
    assert class_shares(np.repeat([0, 1, 2], [46, 50, 54]), 3).numpy() == pytest.approx(np.full(3, 1 / 3))
    assert class_shares(np.repeat([0, 1], [9_999, 2_499]), 2).numpy() == pytest.approx(
        np.array([2, 1]) / 3, abs=1e-4
    )
    chi_squared = 2 * 10**2 / 50
    parts = np.array([61, 41]) ** ((1 - 1 / chi_squared) / 2)
    assert class_shares(np.repeat([0, 1], [60, 40]), 2).numpy() == pytest.approx(parts / parts.sum())
    assert class_shares(np.zeros(5, np.int64), 1).tolist() == [1]
    assert class_shares(np.repeat([0, 1], [90, 30]), 3)[2] > 0  # one that no label is of
