"""Continued pre-training of the model on the selection, judged on examples that the selection never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.corpus.target import Target
from tasks.prepare.student import model_path
from tasks.quad.curvature import encode_examples
from tasks.quad.finish import SELECTED
from tasks.quad.settings import QuadSettings
from tasks.run.seeds import generator, integer
from tasks.train.threads import threads_for

Facts = dict[str, Any]

STUDENT = "student"


def train(run: Path, settings: QuadSettings, selected: Facts, model: Facts, target: Facts) -> Facts:
    """Train a copy of the model on the selected documents, and score both on the held-out examples."""
    from tasks.train.checkpoint import load_student, save_student
    from tasks.train.evaluate import example_losses
    from tasks.train.finetune import fit
    from tasks.train.format import encode_texts
    from tasks.train.student import pack
    from tasks.train.training import Training

    nothing: Facts = {"files": [], "nll_before": None, "nll_after": None, "tokens": 0}
    if not settings.train:
        return nothing
    with (run / SELECTED).open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    order = generator(settings.seed, "train").permutation(len(texts))
    with threads_for(settings.model):
        own, tokenizer = load_student(model_path(run, settings.model))
        blocks = pack(
            encode_texts(tokenizer, [texts[row] for row in order]),
            tokenizer.eos_token_id,
            settings.sequence_tokens,
        )
        training = Training(
            tokens=round(settings.epochs * int(blocks.lengths.sum())),
            learning_rate=settings.learning_rate,
            sequence_tokens=settings.sequence_tokens,
            seed=integer(settings.seed, "train"),
        )

        test = encode_examples(tokenizer, Target.load(run / "target").test, settings.sequence_tokens)
        before = example_losses(own, test, settings.batch_tokens).nll
        log = fit(own, blocks, training)
        after = example_losses(own, test, settings.batch_tokens).nll
        save_student(own, tokenizer, run / STUDENT)
    return {"files": [STUDENT], "nll_before": before, "nll_after": after, "tokens": log.tokens}
