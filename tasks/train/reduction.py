"""What the reference has taught a student about other pairs: the loss that falls on them shows what is worth learning.

Conditional loss reduction (CoLoR-Filter: Brandfonbrener et al., NeurIPS 2024, arXiv 2406.10670; Moore & Lewis, ACL 2010,
for n-grams): the loss of a prior model less that of the same model after training on the reference. To first order in
that training's step it is the product of a pair's gradient with it, so how much learning the pair would do for the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.train.checkpoint import load_student
from tasks.train.evaluate import PairLosses, pair_losses
from tasks.train.training import Training


def loss_reductions(
    pairs: Sequence[tuple[str, str]],
    *,
    prior: str | Path,
    conditional: str | Path,
    training: Training,
) -> tuple[np.ndarray, np.ndarray]:
    """Loss of `prior` on the answer of each pair, less that of `conditional`, and how long the pairs are.

    Args:
        pairs: (question, answer), n of them.
        prior: folder or hub name of a student.
        conditional: that student after training on the reference.
        training: how the students are trained, for the length of a sequence, the batches and LoRA.

    Returns:
        Sums over the tokens of an answer, nats, (n,): a long answer that becomes likelier teaches more than a short one.
        Tokens of each pair as the student reads it, (n,).

    Raises:
        BadInput: one of the two is not a model.
    """

    def losses(student: str | Path) -> PairLosses:
        model, tokenizer = load_student(student, lora=training.lora, seed=training.seed)
        batch = training.rates(model)[1]
        return pair_losses(
            model, tokenizer, pairs, batch_tokens=batch, sequence_tokens=training.sequence_tokens
        )

    before, after = losses(prior), losses(conditional)
    return before.loss - after.loss, before.lengths
