"""The loss of the second stage (arXiv 2505.00812, section 4): every row has its own weights, and none is tuned."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy


def dynamic_loss(
    weak: torch.Tensor, strong: torch.Tensor, labels: torch.Tensor, clean: torch.Tensor, even: torch.Tensor
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

    Returns:
        Mean over the rows.
    """
    fit = cross_entropy(weak, labels, reduction="none") + cross_entropy(strong, labels, reduction="none")
    apart = (weak - strong).square().mean(dim=1)
    mean = (weak.softmax(dim=1) + strong.softmax(dim=1)) / 2
    entropy = torch.special.entr(mean).sum(dim=1)
    sure = mean.detach().amax(dim=1)
    loss: torch.Tensor = (clean * fit + even * apart + (1 - clean) * sure * entropy).mean()
    return loss
