"""How well a model answers held-out questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.train.finetune import answer_losses
from tasks.train.format import IGNORED, encode_pairs, pad, plan_batches


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model on a set of pairs.

    Args:
        nll: mean negative log-likelihood of an answer token over the set, nats; nan for an empty set.
        nll_per_example: the same mean within each pair, float32 (n,).
        exact_match: share of pairs whose whole answer greedy decoding gives; nan for an empty set.
        tokens: answer tokens scored.
    """

    nll: float
    nll_per_example: NDArray[np.float32]
    exact_match: float
    tokens: int


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
    total = np.zeros(len(examples), np.float64)
    answered = np.zeros(len(examples), np.int64)
    wrong = np.zeros(len(examples), np.int64)
    model.eval()
    with torch.inference_mode():
        for rows in plan_batches(examples.lengths, batch_tokens):
            input_ids, labels = pad(examples, rows, 0)
            losses, hits = answer_losses(model, input_ids, labels, device)
            owner = rows[np.nonzero(labels[:, 1:] != IGNORED)[0]]
            total += np.bincount(owner, losses.cpu().numpy(), len(examples))
            wrong += np.bincount(owner, ~hits.cpu().numpy(), len(examples)).astype(np.int64)
            answered += np.bincount(owner, minlength=len(examples))
    if not len(examples):
        return Evaluation(float("nan"), np.zeros(0, np.float32), float("nan"), 0)
    tokens = int(answered.sum())
    return Evaluation(
        float(total.sum() / tokens),
        (total / answered).astype(np.float32),
        float(np.mean(wrong == 0)),
        tokens,
    )
