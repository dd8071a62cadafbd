"""How well a model answers held-out questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.train.finetune import answer_losses
from tasks.train.format import IGNORED, encode_pairs, pad, plan_batches


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model on a set of pairs.

    Args:
        nll: mean negative log-likelihood of an answer token over the set, nats; nan for an empty set.
        exact_match: share of pairs whose whole answer greedy decoding gives; nan for an empty set.
    """

    nll: float
    exact_match: float


def evaluate(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    *,
    batch_tokens: int = 4096,
    sequence_tokens: int = 512,
) -> Evaluation:
    """Likelihood and exact match of the answers of pairs.

    Exact match needs no generation. Greedy decoding gives the answer if and only if the model's first choice is right
    at every answer token while it reads the true answer: up to the first wrong token both have read the same text.

    Args:
        pairs: (question, answer).
        batch_tokens: tokens of a batch, padding included.
        sequence_tokens: longest example; cut as in training.
    """
    examples = encode_pairs(tokenizer, pairs, sequence_tokens)
    device = next(model.parameters()).device
    total, answered = 0.0, 0
    wrong = np.zeros(len(examples), np.int64)
    model.eval()
    with torch.inference_mode():
        for rows in plan_batches(examples.lengths, batch_tokens):
            input_ids, labels = pad(examples, rows, 0)
            losses, hits = answer_losses(model, input_ids, labels, device)
            owner = rows[np.nonzero(labels[:, 1:] != IGNORED)[0]]
            total += float(losses.sum(dtype=torch.float64))
            answered += len(owner)
            wrong += np.bincount(owner, ~hits.cpu().numpy(), len(examples)).astype(np.int64)
    if not len(examples):
        return Evaluation(float("nan"), float("nan"))
    return Evaluation(total / answered, float(np.mean(wrong == 0)))
