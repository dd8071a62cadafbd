"""Rows as a network reads them: in batches, as they are, and with words hidden or numbers moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.classify.inputs import STRONG, WEAK, Tokens, Vectors, order
from tests.wrong_event.blobs import blobs


def test_every_row_is_visited_once_and_no_batch_has_a_single_row():
    for count in (1, 2, 32, 33, 34, 65):
        batches = order(count, 32, np.random.default_rng(0))
        assert sorted(np.concatenate(batches).tolist()) == list(range(count))
        assert count == 1 or min(map(len, batches)) > 1


def test_hidden_tokens_are_masked_and_special_ones_stay():
    ids = [np.array([2, *range(10, 60), 3]), np.array([2, 11, 3])]
    tokens = Tokens(ids, frozenset({0, 2, 3}), mask=1, padding=0, device=torch.device("cpu"))
    rows, random = np.array([0, 1]), np.random.default_rng(0)
    plain, hidden = (tokens.view(rows, strong, random)["input_ids"].numpy() for strong in (WEAK, STRONG))
    assert (plain[0] == ids[0]).all()
    changed = plain != hidden
    assert (hidden[changed] == 1).all()
    assert 3 < changed[0].sum() < 20  # of 50
    assert not changed[:, 0].any()
    assert not (plain[1, 3:] != 0).any()


def test_a_strong_view_of_numbers_lies_about_as_far_away_as_the_nearest_other_row():
    from scipy.spatial.distance import cdist

    inputs = blobs()[0]
    random = np.random.default_rng(0)
    apart = cdist(inputs.values, inputs.values)
    np.fill_diagonal(apart, np.inf)
    rows = np.arange(len(inputs))
    plain, strong = (inputs.view(rows, view, random) for view in (WEAK, STRONG))
    assert (plain == inputs.values).all()
    moved = (strong - plain).norm(dim=1).numpy()
    assert np.sqrt(np.mean(moved**2)) == pytest.approx(np.median(apart.min(axis=1)), rel=0.05)
    assert (inputs.view(rows, STRONG, random) != strong).any()  # another one each time


def test_rows_that_are_repeated_are_not_their_own_neighbours():
    once = blobs()[0].values[:100]
    assert Vectors(torch.cat([once, once])).blur == Vectors(once).blur > 0
    alike = Vectors(torch.ones(5, 3))
    assert alike.blur == 0
    assert (alike.view(np.arange(5), STRONG, np.random.default_rng(0)) == 1).all()
