"""How well a model answers held-out questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.train.finetune import answer_losses
from tasks.train.format import IGNORED, Examples, encode_pairs, pad, plan_batches


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model on a set of pairs.

    Args:
        nll: mean negative log-likelihood of an answer token over the set, nats; nan for an empty set.
        exact_match: share of pairs whose whole answer greedy decoding gives; nan for an empty set.
    """

    nll: float
    exact_match: float


@dataclass(frozen=True, slots=True)
class PairLosses:
    """What a model makes of each of n pairs.

    Args:
        loss: sum of the negative log-likelihoods of the answer's tokens, nats, (n,).
        answered: those tokens, (n,).
        wrong: how many of them are not the model's first choice, (n,).
        lengths: tokens of the pair, its question among them, (n,).
    """

    loss: np.ndarray
    answered: np.ndarray
    wrong: np.ndarray
    lengths: np.ndarray

    @property
    def nll(self) -> float:
        """Mean over all the answers' tokens."""
        return float(self.loss.sum() / self.answered.sum())


def pair_losses(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    *,
    batch_tokens: int = 4096,
    sequence_tokens: int = 512,
) -> PairLosses:
    """Likelihood of the answer of each of (question, answer) pairs; see `evaluate` for the arguments."""
    return example_losses(model, encode_pairs(tokenizer, pairs, sequence_tokens), batch_tokens)


def example_losses(model: Any, examples: Examples, batch_tokens: int = 4096) -> PairLosses:
    """Likelihood of those tokens of each of n sequences that bear loss.

    Args:
        batch_tokens: tokens of a batch, padding included.
    """
    device = next(model.parameters()).device
    loss = np.zeros(len(examples))
    answered, wrong = np.zeros((2, len(examples)), np.int64)
    model.eval()
    with torch.inference_mode():
        for rows in plan_batches(examples.lengths, batch_tokens):
            input_ids, labels = pad(examples, rows, 0)
            losses, hits = answer_losses(model, input_ids, labels, device)
            owner = np.nonzero(labels[:, 1:] != IGNORED)[0]
            loss[rows] = np.bincount(owner, losses.double().cpu().numpy(), len(rows))
            answered[rows] = np.bincount(owner, minlength=len(rows))
            wrong[rows] = np.bincount(owner, ~hits.cpu().numpy(), len(rows))
    return PairLosses(loss, answered, wrong, examples.lengths)


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
    each = pair_losses(model, tokenizer, pairs, batch_tokens=batch_tokens, sequence_tokens=sequence_tokens)
    if not len(each.loss):
        return Evaluation(float("nan"), float("nan"))
    return Evaluation(each.nll, float(np.mean(each.wrong == 0)))
