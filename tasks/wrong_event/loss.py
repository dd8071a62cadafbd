"""The losses of the second stage, in which every row has its own weights, and none is tuned: the paper's (arXiv 2505.00812, section 4), and
one over mixtures of rows. And what both stages add to theirs: that no class is given up."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

TEMPERATURE = 0.5  # of the network's own guesses: MixMatch's (Berthelot et al., NeurIPS 2019)


def dynamic_loss(
    weak: torch.Tensor,
    strong: torch.Tensor,
    labels: torch.Tensor,
    clean: torch.Tensor,
    even: torch.Tensor,
    shares: torch.Tensor | None = None,
) -> torch.Tensor:
    """Learn from the label where it is likely right, be consistent, and be sure where it is likely wrong.

    Of a row: clean (CE(weak) + CE(strong)) + even MSE(weak, strong) + (1 - clean) c H(q), where q is the mean of both views'
    softmax, H its entropy in nats and c its largest probability, a weight that no gradient goes through: through it the
    product would also fall by being less sure.

    Args:
        weak, strong: logits of two views, (b, classes).
        labels: given, int64 (b,).
        clean: P(clean) of the rows, (b,).
        even: weights of consistency, (b,).
        shares: of the classes, (classes,), which the batch's mean of q is kept near by `balance`; None is the paper's loss.

    Returns:
        Mean over the rows.
    """
    fit = cross_entropy(weak, labels, reduction="none") + cross_entropy(strong, labels, reduction="none")
    apart = (weak - strong).square().mean(dim=1)
    mean = (weak.softmax(dim=1) + strong.softmax(dim=1)) / 2
    entropy = torch.special.entr(mean).sum(dim=1)
    sure = mean.detach().amax(dim=1)
    loss: torch.Tensor = (clean * fit + even * apart + (1 - clean) * sure * entropy).mean()
    return loss if shares is None else loss + balance(mean, shares)


def likely_labels(
    weak: torch.Tensor, strong: torch.Tensor, labels: torch.Tensor, clean: torch.Tensor
) -> torch.Tensor:
    """What rows are learnt as, (b, classes): the given label as far as it is likely right, and for the rest what the network takes
    them for, the mean of both views' softmax, sharpened (as DivideMix refines labels: Li et al., ICLR 2020, equations 3 and 4).

    Args:
        weak, strong, labels, clean: as in `dynamic_loss`.
    """
    guessed = ((weak.softmax(dim=1) + strong.softmax(dim=1)) / 2) ** (1 / TEMPERATURE)
    guessed = guessed / guessed.sum(dim=1, keepdim=True)
    right = clean[:, None]
    return right * one_hot(labels, guessed.shape[1]) + (1 - right) * guessed


def mixed_loss(logits: torch.Tensor, targets: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross entropy of targets that are distributions, mean over the rows, and `balance`.

    Args:
        logits: of mixtures of rows, (b, classes).
        targets: the same mixtures of their `likely_labels`, (b, classes).
    """
    return cross_entropy(logits, targets) + balance(logits.softmax(dim=1), shares)


def balance(probabilities: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """KL(shares || mean prediction), which grows without bound as a class goes out of use (Tanaka et al., CVPR 2018: their L_p).

    Wrong labels of a class that are taken for right, or right ones that are taken for wrong, soon pull all of its rows along; over a
    batch the classes that should be there are known better than any row's.

    Args:
        probabilities: softmax of a batch, (b, classes).
        shares: of the classes, (classes,), sum 1.
    """
    mean = probabilities.mean(dim=0).clamp_min(torch.finfo(probabilities.dtype).tiny)
    shares = shares.to(mean.device)
    found: torch.Tensor = (shares * (shares / mean).log()).sum()
    return found


def class_shares(labels: np.ndarray, count: int) -> torch.Tensor:
    """Shares of the classes for `balance`, float32 (count,): between even ones and those of the given labels.

    Even shares, as published, ask for rows of a rare class that are not there; those of the given labels are as noisy as the labels.
    A class gets n^(B/2), n being its number of labels: its square root where classes differ by more than chance, and nothing of a
    difference that is chance, B = 1 - (classes - 1) / chi^2, at least 0 (after James and Stein; tests/bench/wrong_event.md).
    """
    sizes = np.bincount(labels, minlength=count)
    even = sizes.sum() / count
    chi_squared = float(((sizes - even) ** 2).sum() / even)
    beyond_chance = 1 - (count - 1) / max(chi_squared, count - 1, 1)
    parts = (sizes + 1.0) ** (beyond_chance / 2)
    return torch.from_numpy((parts / parts.sum()).astype(np.float32))
