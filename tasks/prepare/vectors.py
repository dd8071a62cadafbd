"""The space of a run's documents and examples: the encoder's own."""

from __future__ import annotations

from pathlib import Path

from tasks.prepare.settings import EncoderSettings
from tasks.select.encode import EncoderSpec

FROZEN = "stages/encoder"


def pair_text(question: str, answer: str) -> str:
    """What of a pair, or of an example of the target, is encoded."""
    return f"{question}\n{answer}" if question else answer


def frozen_encoder(run: Path, settings: EncoderSettings) -> EncoderSpec:
    """The encoder as it was before any alignment: the LSA fitted on this corpus, or the one named."""
    return EncoderSpec(
        str(run / FROZEN) if settings.encoder == "lsa" else settings.encoder, settings.encoder_max_tokens
    )
