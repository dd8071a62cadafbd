"""One training of a student, from folder to folder: what a round runs, and what each comparison at the end runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.train.checkpoint import load_student, save_student

Pairs = Sequence[tuple[str, str]]

SMALL = 20_000_000  # parameters; below it a model learns at rates that would wreck a large one


def default_rates(model: Any, *, lora: bool) -> tuple[float, int]:
    """Peak learning rate and tokens of a batch, by the kind of model.

    1e-5 is EQUAL's rate for full tuning (arXiv 2505.12250). A small model takes small batches: 40,000 tokens of GSM8K
    brought one of 0.7 M parameters to 5.31 nats per held-out answer token in batches of 4,096, to 4.79 in batches of
    1,024, at no cost in speed.
    """
    small = sum(parameter.numel() for parameter in model.parameters()) < SMALL
    return (1e-4 if lora else 1e-3 if small else 1e-5), (1024 if small else 4096)


def count_tokens(base: str | Path, pairs: Pairs, sequence_tokens: int) -> int:
    """Tokens of one pass over (question, answer) pairs, as the student of a folder or hub name reads them."""
    from transformers import AutoTokenizer

    from tasks.train.format import encode_pairs

    tokenizer = AutoTokenizer.from_pretrained(str(base), trust_remote_code=False)
    return int(encode_pairs(tokenizer, pairs, sequence_tokens).lengths.sum())


def train_student(
    base: str | Path,
    output: Path | None,
    pairs: Pairs,
    test: Pairs,
    *,
    lora: bool = False,
    tokens: int | None = None,
    epochs: float = 2.0,
    learning_rate: float | None = None,
    batch_tokens: int | None = None,
    sequence_tokens: int = 512,
    seed: int = 0,
    start: float = 0.0,
    end: float = 1.0,
    evaluate_before: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Load a student, fine-tune it on pairs, judge it on a test set before and after, and save it.

    Args:
        base: folder or hub name of the student to begin with; a round begins with the folder the last one wrote.
        output: folder to save to, whole or absent; None keeps nothing.
        pairs: (question, answer) to train on; none trains nothing.
        test: (question, answer) to judge by; the caller keeps it apart from `pairs`.
        tokens, epochs: length of the training, as in `finetune`.
        learning_rate: peak of the schedule; by default 1e-3 for a small model, 1e-5 for others, 1e-4 with LoRA.
        batch_tokens: tokens of a batch, padding included; by default 1,024 for a small model, 4,096 for others.
        start, end: which stretch of the planned training this is; round r of R is r/R to (r+1)/R.
        evaluate_before: False where the score before is known (it is the last round's score after).

    Returns:
        tokens, steps, losses, learning_rates, nll_before, nll_after (mean per answer token of the test set, nats),
        exact_match_before, exact_match_after, test_tokens, seconds_training, seconds_evaluation. A score that was
        not taken is None.

    Raises:
        BadInput: the base is not a model, or the training diverged.
    """
    from tasks.train.evaluate import evaluate
    from tasks.train.finetune import finetune

    model, tokenizer = load_student(base, lora=lora, seed=seed)
    default_rate, default_batch = default_rates(model, lora=lora)
    learning_rate, batch_tokens = learning_rate or default_rate, batch_tokens or default_batch

    def judge() -> tuple[float | None, float | None, int]:
        scores = evaluate(model, tokenizer, test, batch_tokens=batch_tokens, sequence_tokens=sequence_tokens)
        if math.isnan(scores.nll):
            return None, None, 0
        return scores.nll, scores.exact_match, scores.tokens

    clock = [time.perf_counter()]
    nll_before, match_before, _ = judge() if evaluate_before else (None, None, 0)
    clock.append(time.perf_counter())
    log = finetune(
        model,
        tokenizer,
        pairs,
        tokens=tokens,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_tokens=batch_tokens,
        sequence_tokens=sequence_tokens,
        seed=seed,
        start=start,
        end=end,
        progress=progress,
    )
    clock.append(time.perf_counter())
    nll_after, match_after, test_tokens = judge()
    clock.append(time.perf_counter())
    if output is not None:
        save_student(model, tokenizer, output)
    return {
        "tokens": log.tokens,
        "steps": log.steps,
        "losses": log.losses,
        "learning_rates": log.learning_rates,
        "nll_before": nll_before,
        "nll_after": nll_after,
        "exact_match_before": match_before,
        "exact_match_after": match_after,
        "test_tokens": test_tokens,
        "seconds_training": clock[2] - clock[1],
        "seconds_evaluation": clock[1] - clock[0] + clock[3] - clock[2],
    }
