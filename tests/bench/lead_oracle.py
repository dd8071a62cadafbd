"""What no method may know: how far an example's gradient goes where the judges' own goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.corpus.target import Target
from tasks.lead import difficulty, pool
from tasks.lead.play import Learner
from tasks.lead.settings import LeadSettings
from tasks.storage.arrays import load_array
from tasks.train.finetune import answer_losses
from tasks.train.format import encode_pairs, pad, plan_batches

_BATCH_TOKENS = 4096
_CUT = 0.01  # of the examples at either end, whose gains are cut to that of the next


def drawn(made: Path, own: LeadSettings, found: Learner, random: np.random.Generator) -> np.ndarray:
    """Rows of the pool, (n,), one after the other drawn with the weights exp(z) and none twice (by Gumbel's trick).

    z is the fall of the judges' loss, to first order and before training, that a token of the example brings, standardised.
    """
    pairs = pool.pairs_of(made, range(len(load_array(made / difficulty.LOSSES))))
    judges = [(example.question, example.answer) for example in Target.load(made / "target").test]
    toward = _gradients(own, found, judges)[0].sum(axis=0)
    gradients, lengths = _gradients(own, found, pairs)
    gains = gradients @ toward / lengths
    gains = np.clip(gains, *np.quantile(gains, [_CUT, 1 - _CUT]))
    weights = (gains - gains.mean()) / gains.std()
    return np.argsort(-weights - random.gumbel(size=len(weights)), kind="stable")


def _gradients(
    own: LeadSettings, found: Learner, pairs: Sequence[tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Projections of the gradients of each example's summed loss, (n, m), and its tokens, (n,)."""
    examples, model = encode_pairs(found.tokenizer, pairs, own.sequence_tokens), found.trainer.model
    model.eval()
    projected = np.zeros((len(pairs), own.sketch**2), np.float32)
    for rows in plan_batches(examples.lengths, _BATCH_TOKENS, np.random.default_rng(own.seed)):
        with found.trainer.sketch.seen(len(rows)) as seen:
            each, _ = answer_losses(model, *pad(examples, rows, 0), found.trainer.parameters[0].device)
            each.sum().backward()
        found.trainer.optimizer.zero_grad(set_to_none=True)
        projected[rows] = seen.sketches.cpu().numpy()
    return projected, np.asarray(examples.lengths)
