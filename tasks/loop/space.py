"""The two spaces of a run: the frozen encoder's, which judges, and the aligned one, where clusters and rewards live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.loop.settings import EqualSettings
from tasks.select.align import apply_head
from tasks.select.encode import EncoderSpec, encode_texts
from tasks.storage.arrays import load_array

ALIGNED = "stages/aligned-encoder"
HEAD, SPACE, REFERENCE = "stages/head.npy", "stages/space.npy", "stages/space-reference.npy"


def aligned_encoder(run: Path, settings: EqualSettings) -> EncoderSpec:
    """The encoder trained on the warm-up's pairs; only with align = full."""
    return EncoderSpec(str(run / ALIGNED), settings.encoder_max_tokens)


def is_aligned(run: Path) -> bool:
    """Whether an alignment changed anything; otherwise both spaces are one, and it is kept once."""
    return (run / SPACE).exists()


def document_space(run: Path) -> np.ndarray:
    """Vectors of the documents in the aligned space, unit rows (n, d), memory-mapped."""
    return load_array(run / (SPACE if is_aligned(run) else "vectors.npy"))


def reference_space(run: Path) -> np.ndarray:
    """Vectors of the reference examples in the aligned space, unit rows (m, d)."""
    return load_array(run / (REFERENCE if is_aligned(run) else "stages/reference.npy"))


def to_space(run: Path, settings: EqualSettings, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Texts in the aligned space, unit rows (n, d).

    Args:
        vectors: of the texts in the frozen space, (n, d); what a linear head is applied to.
    """
    if (run / ALIGNED).exists():
        return encode_texts(aligned_encoder(run, settings), texts)
    return apply_head(vectors, load_array(run / HEAD)) if (run / HEAD).exists() else np.asarray(vectors)
