"""The linear head: its gradient, what it may not compare, and when it leaves things as they are."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tasks.select import align
from tasks.select.align import apply_head, contrastive_loss, fit_linear_head, mean_log_rank, split_groups


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def noisy_views(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Documents and pairs that share 4 dimensions; the other 12 are noise, and louder."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(count, 4))
    return tuple(unit(np.hstack([shared, 2 * random.normal(size=(count, 12))])) for _ in range(2))  # type: ignore[return-value]


def test_the_loss_and_its_gradient_match_torch() -> None:
    import torch

    random = np.random.default_rng(1)
    documents, pairs, head = (
        random.normal(size=(9, 5)),
        random.normal(size=(9, 5)),
        random.normal(size=(5, 5)),
    )
    loss, gradient = contrastive_loss(head, documents, pairs, np.arange(9), 0.3)
    weight = torch.tensor(head, requires_grad=True)
    left, right = (torch.nn.functional.normalize(torch.tensor(x) @ weight, dim=1) for x in (documents, pairs))
    expected = torch.nn.functional.cross_entropy(left @ right.T / 0.3, torch.arange(9))
    expected.backward()
    assert loss == pytest.approx(expected.item())
    assert gradient == pytest.approx(weight.grad.numpy(), abs=1e-9)


def test_pairs_of_one_document_are_not_each_others_negatives() -> None:
    documents = np.eye(3)[[0, 0, 1]]
    pairs = np.eye(3)[[0, 0, 1]]
    together, _ = contrastive_loss(np.eye(3), documents, pairs, np.array([0, 0, 1]), 1.0)
    # Row by row: rows 0 and 1 see one negative (similarity 0), row 2 sees two.
    assert together == pytest.approx((2 * np.log(1 + np.exp(-1)) + np.log(1 + 2 * np.exp(-1))) / 3)


def test_a_head_learns_what_documents_and_pairs_share() -> None:
    documents, pairs = noisy_views(300)
    head, report = fit_linear_head(
        documents, pairs, temperature=0.2, epochs=60, learning_rate=1e-2, decay=0.1
    )
    assert report.helped
    assert report.loss_after < report.loss_before - 0.3
    fresh_documents, fresh_pairs = noisy_views(100, seed=7)

    def rank(left: np.ndarray, right: np.ndarray) -> float:
        similar = left @ right.T
        return float((similar > np.diagonal(similar)[:, None]).sum(axis=1).mean())

    before = rank(fresh_documents, fresh_pairs)
    assert rank(apply_head(fresh_documents, head), apply_head(fresh_pairs, head)) < 0.7 * before


def test_the_identity_is_returned_when_nothing_helps() -> None:
    documents, pairs = noisy_views(60)
    head, report = fit_linear_head(documents, pairs, temperature=0.05, learning_rate=5.0)  # only does harm
    assert (head == np.eye(16)).all()
    assert not report.helped
    assert report.loss_after == report.loss_before


def test_too_few_documents_leave_the_identity() -> None:
    documents, pairs = noisy_views(5)
    head, report = fit_linear_head(documents, pairs)
    assert (head == np.eye(16)).all()
    assert (report.epochs, report.documents, report.pairs) == (0, 5, 5)
    head, report = fit_linear_head(documents[:0], pairs[:0])
    assert (head == np.eye(16)).all()
    assert report.documents == 0


def test_the_same_seed_gives_the_same_bytes() -> None:
    documents, pairs = noisy_views(80)
    first, again, other = (fit_linear_head(documents, pairs, temperature=0.2, seed=s)[0] for s in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_no_document_stands_on_both_sides_of_the_split() -> None:
    groups = np.repeat(np.arange(20), 3)
    train, held = split_groups(groups, seed=0)
    assert not set(groups[train]) & set(groups[held])
    assert len(set(groups[held])) == 4
    assert sorted([*train, *held]) == list(range(60))


def test_applied_heads_give_unit_rows() -> None:
    documents, _ = noisy_views(10)
    vectors = apply_head(documents, np.diag(np.linspace(0, 2, 16)).astype(np.float32))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_ranks_are_the_same_in_chunks_and_hold_no_square_of_the_pairs() -> None:
    documents, pairs = noisy_views(1500)
    groups, rows = np.arange(1500) // 2, np.arange(0, 1500, 3)
    whole = mean_log_rank(np.eye(16), documents, pairs, groups, rows, chunk=500)
    tracemalloc.start()
    chunked = mean_log_rank(np.eye(16), documents, pairs, groups, rows, chunk=7)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chunked == whole > 0
    assert held < 500 * 1500


def test_at_most_so_many_held_out_pairs_judge_and_fewer_judge_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[int] = []

    def counts(head: np.ndarray, documents: np.ndarray, *rest: Any) -> tuple[float, np.ndarray]:
        judged.append(len(documents))
        return contrastive_loss(head, documents, *rest)

    monkeypatch.setattr(align, "contrastive_loss", counts)
    documents, pairs = noisy_views(200)
    given: dict[str, Any] = {"temperature": 0.2, "epochs": 3, "batch": 16}
    everything, of_all = fit_linear_head(documents, pairs, **given)
    assert max(judged) == 40
    again, of_as_many = fit_linear_head(documents, pairs, **given, max_held=40)
    assert (again.tobytes(), of_as_many) == (everything.tobytes(), of_all)
    judged.clear()
    _, of_some = fit_linear_head(documents, pairs, **given, max_held=20)
    assert max(judged) == 20
    assert of_some.loss_before != of_all.loss_before
    assert of_some == fit_linear_head(documents, pairs, **given, max_held=20)[1]
