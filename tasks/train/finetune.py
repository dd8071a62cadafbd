"""Training of a causal language model on answer tokens, for a stated number of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tasks.records import BadInput
from tasks.run.seeds import generator, integer
from tasks.train.format import IGNORED, Examples, encode_pairs, pad, plan_batches
from tasks.train.precision import autocast
from tasks.train.training import Training

WARMUP = 0.03  # share of the whole training over which the learning rate rises
MAX_NORM = 1.0  # of the gradient of a step; a longer one is clipped
MANY = 4096  # pairs; so many are tokenised in a second

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """What a training did: tokens used (padding left out), and the loss and learning rate of each step."""

    tokens: int = 0
    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)


def finetune(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    training: Training,
    progress: Progress | None = None,
) -> TrainingLog:
    """Fine-tune a model, in place, on the answers of pairs.

    Each call begins with a fresh AdamW; between rounds only the weights are kept, which halves to thirds what a round
    writes to disk. Measured on 48,000 tokens of GSM8K in 8 rounds, three seeds, NLL of held-out answers: fresh
    4.670 +- .021, optimiser state kept 4.667 +- .020, one uninterrupted run 4.685 +- .008.

    Args:
        pairs: (question, answer); none trains nothing.
        progress: called after each step with the tokens used and those planned.

    Returns:
        The log; its losses are the mean cross entropy (nats) over the answer tokens of each batch.

    Raises:
        BadInput: the loss is not a finite number.
    """
    examples = encode_pairs(tokenizer, draw(pairs, training), training.sequence_tokens)
    return fit(model, examples, training, progress)


def draw(pairs: Sequence[tuple[str, str]], training: Training) -> Sequence[tuple[str, str]]:
    """Of very many pairs a random part that the training cannot exhaust, in order: the rest need not be tokenised.

    A pair has several tokens, so that training on n tokens never comes to the end of n pairs.
    """
    if training.tokens is None or len(pairs) <= (most := max(MANY, training.tokens)):
        return pairs
    rows = generator(training.seed, "pairs", str(training.start)).choice(len(pairs), most, replace=False)
    return [pairs[row] for row in np.sort(rows)]


def fit(model: Any, examples: Examples, training: Training, progress: Progress | None = None) -> TrainingLog:
    """Train a model, in place, on token sequences; see `finetune`."""
    lengths, device = examples.lengths, next(model.parameters()).device
    tokens = training.tokens
    if tokens is None:
        tokens = round(training.epochs * int(lengths.sum()))
    if not len(examples) or tokens <= 0:
        return TrainingLog()
    learning_rate, batch_tokens = training.rates(model)
    seed, start, end = training.seed, training.start, training.end
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(parameters, learning_rate)
    losses: list[torch.Tensor] = []
    rates: list[float] = []
    used = epoch = 0
    # Dropout draws from torch's global stream: ours for the time of the training, then as it was.
    with torch.random.fork_rng():
        torch.manual_seed(integer(seed, "dropout", str(start)))
        model.train()
        while used < tokens:
            before = used
            for rows in plan_batches(lengths, batch_tokens, generator(seed, "batches", str(start), epoch)):
                rows = rows[np.cumsum(lengths[rows]) <= tokens - used]
                if not len(rows):
                    continue
                size = int(lengths[rows].sum())
                # The middle of the step: neither the first nor the last step of a training is wasted on a rate of 0.
                share = start + (end - start) * (used + size / 2) / tokens
                rates.append(learning_rate * schedule(share))
                optimizer.param_groups[0]["lr"] = rates[-1]
                loss = answer_losses(model, *pad(examples, rows, 0), device)[0].mean()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                losses.append(loss.detach())
                used += size
                if progress is not None:
                    progress(used, tokens)
            epoch += 1
            if used == before:  # what is left is shorter than any example
                break
        model.eval()
    values = [float(loss) for loss in losses]
    if not all(map(math.isfinite, values)):
        step = next(index for index, value in enumerate(values) if not math.isfinite(value))
        raise diverged(learning_rate, f"at step {step}")
    return TrainingLog(used, values, rates)


def make_optimizer(parameters: Sequence[Any], learning_rate: float) -> torch.optim.AdamW:
    """AdamW as students are trained with."""
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True)


def diverged(learning_rate: float, when: str) -> BadInput:
    """What is said of a loss that is not a finite number."""
    return BadInput(f"--learning-rate {learning_rate:g}: the loss was not finite {when}; give a lower rate")


def schedule(share: float) -> float:
    """Learning rate as a share of its peak: a linear rise, then half a cosine to 0 (Loshchilov & Hutter, 2017).

    Args:
        share: how much of the whole planned training is done, 0 to 1.
    """
    if share < WARMUP:
        return share / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (share - WARMUP) / (1 - WARMUP)))


def answer_losses(
    model: Any, input_ids: np.ndarray, labels: np.ndarray, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of each token that bears loss, and whether it is the model's first choice.

    Args:
        input_ids, labels: int64 (b, t), padded on the right.

    Returns:
        Losses in nats, float32 (k,), and hits, bool (k,), of the k labelled tokens, row by row.
    """
    logits, targets = answer_logits(model, input_ids, labels, device)
    return cross_entropy(logits, targets, reduction="none"), logits.detach().argmax(-1) == targets


def answer_logits(
    model: Any, input_ids: np.ndarray, labels: np.ndarray, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model says of each token that bears loss, float32 (k, vocabulary), and the tokens, int64 (k,).

    Only these positions reach the output layer: logits over a vocabulary are the largest array of a language model, and
    most positions belong to questions.
    """
    predicts = np.zeros(labels.shape, bool)
    predicts[:, :-1] = labels[:, 1:] != IGNORED
    targets = torch.from_numpy(labels[:, 1:][predicts[:, :-1]]).to(device)
    with autocast(model):
        logits = model(
            input_ids=torch.from_numpy(input_ids).to(device),
            logits_to_keep=torch.from_numpy(predicts).to(device),
            use_cache=False,
        ).logits.float()
    return logits, targets
