"""One training of a student, from folder to folder: what a round runs, and what each comparison at the end runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.train.checkpoint import load_student, save_student, source_of
from tasks.train.training import Trainer, Training

Pairs = Sequence[tuple[str, str]]


def count_tokens(base: str | Path, pairs: Pairs, sequence_tokens: int) -> int:
    """Tokens of one pass over (question, answer) pairs, as the student of a folder or hub name reads them."""
    from transformers import AutoTokenizer

    from tasks.train.format import encode_pairs

    tokenizer = AutoTokenizer.from_pretrained(source_of(base), trust_remote_code=False)
    return int(encode_pairs(tokenizer, pairs, sequence_tokens).lengths.sum())


def train_student(
    base: str | Path,
    output: Path | None,
    pairs: Pairs,
    test: Pairs,
    training: Training,
    progress: Callable[[int, int], None] | None = None,
    trainer: Trainer = "plain",
    reference: Pairs = (),
) -> dict[str, Any]:
    """Load a student, fine-tune it on pairs, judge it on a test set, and save it.

    Args:
        base: folder or hub name of the student to begin with; a round begins with the folder the last one wrote.
        output: folder to save to, whole or absent; None keeps nothing.
        pairs: (question, answer) to train on; none trains nothing.
        test: (question, answer) to judge by; the caller keeps it apart from `pairs`.
        progress: called after each step with the tokens used and those planned.
        trainer: "plain" trains on pairs in random order, "lead" on those that LEAD chooses (`tasks.lead.trainer`).
        reference: (question, answer) that "lead" chooses for.

    Returns:
        tokens trained on; nll (mean per answer token of the test set, nats) and exact_match, None without a test;
        seconds of training and judging.

    Raises:
        BadInput: the base is not a model, or the training diverged.
    """
    from tasks.train.evaluate import evaluate
    from tasks.train.finetune import finetune

    model, tokenizer = load_student(base, lora=training.lora, seed=training.seed)
    began = time.perf_counter()
    if trainer == "lead":
        from tasks.lead.trainer import finetune_by_choice

        log = finetune_by_choice(model, tokenizer, pairs, training, progress, reference=reference)
    else:
        log = finetune(model, tokenizer, pairs, training, progress)
    scores = evaluate(
        model,
        tokenizer,
        test,
        batch_tokens=training.rates(model)[1],
        sequence_tokens=training.sequence_tokens,
    )
    seconds = time.perf_counter() - began
    if output is not None:
        save_student(model, tokenizer, output)
    scored = not math.isnan(scores.nll)
    return {
        "tokens": log.tokens,
        "nll": scores.nll if scored else None,
        "exact_match": scores.exact_match if scored else None,
        "seconds": seconds,
    }
