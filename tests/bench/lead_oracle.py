"""Which examples help others: those that judge, which no method may know, or the reference, by a look with gradients at the whole pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.lead import difficulty, pool
from tasks.lead.play import Learner
from tasks.lead.reference import kinds_of, look
from tasks.lead.settings import LeadSettings
from tasks.records import Example
from tasks.run.seeds import integer
from tasks.storage.arrays import load_array
from tasks.train.format import encode_pairs


def drawn(
    made: Path, own: LeadSettings, found: Learner, others: Sequence[Example], random: np.random.Generator
) -> np.ndarray:
    """Rows of the pool, (n,), one after the other drawn with the weights of a reference and none twice (by Gumbel's trick).

    The others' are the reference; see `tasks.lead.reference`.
    """
    pairs = pool.pairs_of(made, range(len(load_array(made / difficulty.LOSSES))))
    helped = [(example.question, example.answer) for example in others]
    examples = encode_pairs(found.tokenizer, pairs, own.sequence_tokens)
    trainer = found.trainer
    kinds = kinds_of(helped, pairs, integer(own.seed, "kinds"))
    weights = look(
        trainer.model, found.tokenizer, helped, kinds, examples, trainer.sketch, 4096, own.sequence_tokens
    ).weights
    return np.argsort(-np.log(weights) - random.gumbel(size=len(weights)), kind="stable")
