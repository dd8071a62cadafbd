"""How a student is trained: how long, at what rate, in what pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Trainer = Literal["plain", "lead"]
"""How a training's tokens are spent: on pairs in random order, or on those that LEAD chooses (`tasks.lead.trainer`)."""

SMALL = 20_000_000  # parameters; below it a model learns at rates that would wreck a large one


@dataclass(frozen=True, slots=True)
class Training:
    """The options of one training.

    Args:
        tokens: input tokens to train on, padding left out; examples are reshuffled and repeated, or cut, to reach it.
        epochs: passes over the examples where `tokens` is None.
        learning_rate: peak of the schedule; by default 1e-3 for a small model, 1e-5 for others, 1e-4 with LoRA.
        batch_tokens: tokens of a batch, padding included; by default 1,024 for a small model, 4,096 for others.
        sequence_tokens: longest example, tokens.
        start, end: which stretch of the planned training this is; round r of R is (r-1)/R to r/R.
        lora: train low-rank adapters and leave the model's weights alone.
        seed: of the order, the dropout and new adapters.
    """

    tokens: int | None = None
    epochs: float = 2.0
    learning_rate: float | None = None
    batch_tokens: int | None = None
    sequence_tokens: int = 512
    start: float = 0.0
    end: float = 1.0
    lora: bool = False
    seed: int = 0

    def rates(self, model: Any) -> tuple[float, int]:
        """Peak learning rate and tokens of a batch, by the kind of model where they are not given.

        1e-5 is EQUAL's rate for full tuning (arXiv 2505.12250). A small model takes small batches: 40,000 tokens of
        GSM8K brought one of 0.7 M parameters to 5.31 nats per held-out answer token in batches of 4,096, to 4.79 in
        batches of 1,024, at no cost in speed.
        """
        small = is_small(model)
        default = 1e-4 if self.lora else 1e-3 if small else 1e-5
        return self.learning_rate or default, self.batch_tokens or (1024 if small else 4096)


def is_small(model: Any) -> bool:
    """Whether a model is of the size of those that are made here."""
    return bool(sum(parameter.numel() for parameter in model.parameters()) < SMALL)
