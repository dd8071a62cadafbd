"""What no method may know: which examples help those that judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.corpus.target import Target
from tasks.lead import difficulty, pool
from tasks.lead.play import Learner
from tasks.lead.settings import LeadSettings
from tasks.select.influence.scores import Curvature, influence_scores
from tasks.storage.arrays import load_array
from tasks.train.format import encode_pairs

_CUT = 0.01  # of the examples at either end, whose gains are cut to that of the next


def drawn(made: Path, own: LeadSettings, found: Learner, random: np.random.Generator) -> np.ndarray:
    """Rows of the pool, (n,), one after the other drawn with the weights exp(z) and none twice (by Gumbel's trick).

    z is the fall of the judges' loss, to first order and before training, that a token of the example brings, standardised.
    """
    pairs = pool.pairs_of(made, range(len(load_array(made / difficulty.LOSSES))))
    judges = [(example.question, example.answer) for example in Target.load(made / "target").test]
    examples, judging = (
        encode_pairs(found.tokenizer, own_pairs, own.sequence_tokens) for own_pairs in (pairs, judges)
    )
    products = influence_scores(
        found.trainer.model, judging, examples, curvature=Curvature("all", plain=True)
    )
    gains = products / np.asarray(examples.lengths)
    gains = np.clip(gains, *np.quantile(gains, [_CUT, 1 - _CUT]))
    weights = (gains - gains.mean()) / gains.std()
    return np.argsort(-weights - random.gumbel(size=len(weights)), kind="stable")
