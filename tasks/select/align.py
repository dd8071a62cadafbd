"""Contrastive alignment: makes a document's vector foretell the pairs that come out of it.

EQUAL (arXiv 2505.12250): L = -log( e^{sim(d,q+)/T} / (e^{sim(d,q+)/T} + sum e^{sim(d,q-)/T}) ), sim = cosine, the
negatives being the other documents' pairs of the batch. The paper prints no temperature, which is T = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.run import seeds
from tasks.select.lsa import unit_rows

MIN_DOCUMENTS = 8  # fewer cannot be split into a part to learn from and a part to judge by


@dataclass(frozen=True, slots=True)
class Alignment:
    """What an alignment did.

    Args:
        loss_before, loss_after: contrastive loss of held-out documents; equal if nothing was changed, NaN if there were
            too few documents to try.
        epochs: passes over the training part that the result has seen; 0 if nothing was changed.
        documents, pairs: that it was fitted and judged on.
    """

    loss_before: float
    loss_after: float
    epochs: int
    documents: int
    pairs: int

    @property
    def helped(self) -> bool:
        return self.epochs > 0


def fit_linear_head(
    documents: np.ndarray,
    pairs: np.ndarray,
    *,
    temperature: float = 1.0,
    epochs: int = 30,
    seed: int = 0,
    groups: np.ndarray | None = None,
    batch: int = 256,
    learning_rate: float = 3e-3,
    decay: float = 5.0,
    max_held: int = 4096,
) -> tuple[np.ndarray, Alignment]:
    """A linear map for documents, pairs and reference alike, learnt on frozen vectors.

    Starts from the identity and is drawn back to it; a fifth of the documents is held out, and the epoch with their
    lowest loss is returned: the identity itself if none helps. An epoch that ranks a held-out document's own pair lower
    among all pairs than the identity does is never returned, however low its loss: at temperature 1 the loss can fall by
    spreading all similarities while the order of the near ones gets worse.

    Args:
        documents: vector of each pair's document, (n, d).
        pairs: vectors of the pairs, (n, d).
        groups: document of each pair, (n,); by default pairs with equal document vectors are of one document. Pairs of
            one document are never each other's negatives.
        epochs: at most this many passes; stops after 5 without improvement.
        decay: pull towards the identity per step, relative to the learning rate.
        max_held: judged by at most this many held-out pairs, drawn by seed: the loss takes memory for their square.

    Returns:
        The head, float32 (d, d), for `apply_head`, and what it did.
    """
    from threadpoolctl import threadpool_limits

    d = documents.shape[1]
    head = np.eye(d)
    groups = group_rows(documents) if groups is None else np.unique(groups, return_inverse=True)[1]
    train, held = split_groups(groups, seed)
    report = {"documents": int(groups.max(initial=-1)) + 1, "pairs": len(pairs)}
    if len(held) > max_held:
        held = np.sort(seeds.generator(seed, "align", "held").choice(held, max_held, replace=False))
    if not len(held):
        return head.astype(np.float32), Alignment(float("nan"), float("nan"), 0, **report)
    documents, pairs = documents.astype(np.float64), pairs.astype(np.float64)
    held_set = documents[held], pairs[held], groups[held]
    before = best = contrastive_loss(head, *held_set, temperature)[0]
    rank_before = mean_log_rank(head, documents, pairs, groups, held)
    best_head, best_epoch = head.copy(), 0
    # One thread: blocked sums differ with their number.
    with threadpool_limits(1):
        # Adam (Kingma and Ba, 2015), with decoupled decay towards the identity.
        first, second, step = np.zeros_like(head), np.zeros_like(head), 0
        random = seeds.generator(seed, "align", "batches")
        for epoch in range(1, epochs + 1):
            order = random.permutation(train)
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                _, gradient = contrastive_loss(head, documents[rows], pairs[rows], groups[rows], temperature)
                step += 1
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                move = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
                head = head - learning_rate * (move + decay * (head - np.eye(d)))
            loss = contrastive_loss(head, *held_set, temperature)[0]
            if loss < best and mean_log_rank(head, documents, pairs, groups, held) <= rank_before:
                best, best_head, best_epoch = loss, head.copy(), epoch
            elif epoch - best_epoch >= 5:
                break
    return best_head.astype(np.float32), Alignment(before, best, best_epoch, **report)


def apply_head(vectors: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Vectors (n, d) through a head (d, d). Returns unit rows, float32 (n, d)."""
    return unit_rows(np.asarray(vectors, dtype=np.float32) @ head)


def contrastive_loss(
    head: np.ndarray, documents: np.ndarray, pairs: np.ndarray, groups: np.ndarray, temperature: float
) -> tuple[float, np.ndarray]:
    """Mean in-batch contrastive loss and its gradient by the head.

    Args:
        head: (d, d).
        documents, pairs: row i of each is a positive, (n, d).
        groups: document of each row, (n,).

    Returns:
        loss in nats, gradient (d, d).
    """
    n = len(documents)
    mapped_documents, mapped_pairs = documents @ head, pairs @ head
    norm_documents = np.maximum(np.linalg.norm(mapped_documents, axis=1, keepdims=True), 1e-12)
    norm_pairs = np.maximum(np.linalg.norm(mapped_pairs, axis=1, keepdims=True), 1e-12)
    unit_documents, unit_pairs = mapped_documents / norm_documents, mapped_pairs / norm_pairs
    logits = unit_documents @ unit_pairs.T / temperature
    logits[(groups[:, None] == groups) & ~np.eye(n, dtype=bool)] = -np.inf
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    total = weights.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - np.diagonal(logits)))
    by_logit = (weights / total - np.eye(n)) / (n * temperature)
    by_documents, by_pairs = by_logit @ unit_pairs, by_logit.T @ unit_documents
    # Through the normalisation: only the part across the unit vector moves it.
    by_documents = (
        by_documents - unit_documents * np.sum(unit_documents * by_documents, axis=1, keepdims=True)
    ) / norm_documents
    by_pairs = (by_pairs - unit_pairs * np.sum(unit_pairs * by_pairs, axis=1, keepdims=True)) / norm_pairs
    return loss, documents.T @ by_documents + pairs.T @ by_pairs


def mean_log_rank(
    head: np.ndarray,
    documents: np.ndarray,
    pairs: np.ndarray,
    groups: np.ndarray,
    rows: np.ndarray,
    chunk: int = 1024,
) -> float:
    """Mean log(1 + r) over `rows`, r being how many pairs of other documents are nearer to the document than its own.

    Args:
        chunk: so many rows are compared with all pairs at once.
    """
    mapped, mapped_pairs = apply_head(documents[rows], head), apply_head(pairs, head)
    ranks = np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        similar = mapped[start : start + chunk] @ mapped_pairs.T
        own = similar[np.arange(len(part)), part]
        ranks[start : start + chunk] = ((similar > own[:, None]) & (groups[part][:, None] != groups)).sum(
            axis=1
        )
    return float(np.log1p(ranks).mean())


def group_rows(documents: np.ndarray) -> np.ndarray:
    """A number per distinct row, (n,)."""
    if not len(documents):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(np.unique(documents, axis=0, return_inverse=True)[1]).ravel()


def split_groups(groups: np.ndarray, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to judge by, no document in both; none to judge by if documents are too few.

    Args:
        groups: document of each row, numbered from 0 without gaps, (n,).
        share: of the documents to hold out, at least two.
    """
    count = int(groups.max(initial=-1)) + 1
    if count < MIN_DOCUMENTS:
        return np.arange(len(groups)), np.zeros(0, dtype=np.int64)
    held = seeds.generator(seed, "align", "split").permutation(count)[: max(2, round(count * share))]
    chosen = np.isin(groups, held)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
