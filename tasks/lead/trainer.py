"""Training that chooses what it trains on, for flows that have a trainer: in memory, for a stated number of tokens.

A flow's pairs are more than a training's tokens, or are seen several times; the rounds of LEAD (`tasks.lead.play`) say which of them
these tokens are spent on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.lead.difficulty import Looked, first_shares, look_at_all, make_arms
from tasks.lead.play import Learner, play
from tasks.lead.settings import ChoosingSettings
from tasks.prepare.vectors import pair_text
from tasks.records import BadInput
from tasks.select.lsa import LSAEncoder
from tasks.train.finetune import Progress, TrainingLog, draw, fit, schedule
from tasks.train.format import encode_pairs, taken
from tasks.train.training import Training

ROUNDS = 20
_DIMENSIONS = 64  # of the LSA that finds like pairs


def finetune_by_choice(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    training: Training,
    progress: Progress | None = None,
    settings: ChoosingSettings | None = None,
    reference: Sequence[tuple[str, str]] = (),
) -> TrainingLog:
    """Fine-tune a model, in place, on those of the pairs that LEAD chooses; else as `tasks.train.finetune.finetune` does.

    The schedule of the rate is the training's own. Every pair is looked at beforehand, in one forward pass, or two where clusters are
    by IFD ratio. With tokens for every pair there is nothing to choose but an order, the best first, which is worse than none
    (tests/bench/lead.md); then all are trained on in random order.

    Args:
        settings: how to choose; the seed is the training's.
        reference: (question, answer) that the training is for: pairs are chosen for their answers, or are drawn by how much they help them;
            the latter takes a forward and a backward pass over each pair. None of the reference is trained on.

    Returns:
        The log; its losses are of the steps' batches.

    Raises:
        BadInput: the loss is not a finite number.
    """
    settings = (settings or ChoosingSettings()).model_copy(update={"seed": training.seed})
    pairs = draw(pairs, training)
    examples = encode_pairs(tokenizer, pairs, training.sequence_tokens)
    lengths = np.asarray(examples.lengths)
    planned = round(training.epochs * int(lengths.sum())) if training.tokens is None else training.tokens
    if not len(pairs) or planned <= 0:
        return TrainingLog()
    if planned >= lengths.sum():
        return fit(model, examples, training, progress)
    peak, batch_tokens = training.rates(model)
    model.eval()
    seen = look_at_all(
        model, tokenizer, pairs, examples, reference, settings, batch_tokens, training.sequence_tokens
    )
    labels, owners = _clusters(pairs, seen, settings)
    shares = first_shares(labels, len(owners), seen, planned / float(lengths.sum()), settings)
    learner = Learner.begin(model, tokenizer, training, settings, seen, shares, ROUNDS)
    count = max(1, round(planned / ROUNDS / float(lengths.mean())))
    used, number = 0, 0
    losses_of_steps: list[float] = []
    rates: list[float] = []
    while used < planned:
        number += 1
        share = training.start + (training.end - training.start) * min(1.0, (used / planned + 0.5 / ROUNDS))
        learner.trainer.rate = peak * schedule(share)
        played = play(
            learner,
            settings,
            labels,
            number,
            count,
            len(pairs),
            lambda rows: taken(examples, rows),
            planned - used,
        )
        if not len(played.rows):  # what is left is shorter than the first example that was drawn
            break
        losses_of_steps += [step["loss"] for step in played.steps]
        rates += [learner.trainer.rate] * len(played.steps)
        used += sum(step["tokens"] for step in played.steps)
        if progress is not None:
            progress(used, planned)
    return TrainingLog(used, losses_of_steps, rates)


def _clusters(
    pairs: Sequence[tuple[str, str]], seen: Looked, settings: ChoosingSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Of the pairs; see `make_arms`."""
    texts = [pair_text(question, answer) for question, answer in pairs]
    try:
        vectors = LSAEncoder.fit(texts, _DIMENSIONS, settings.seed).encode(texts)
    except BadInput:  # not a word in them
        vectors = np.ones((len(pairs), 1), dtype=np.float32)
        settings = settings.model_copy(update={"tasks": 1})
    return make_arms(vectors, seen.losses, seen.ratios, settings)
