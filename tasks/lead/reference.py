"""What the data is chosen for: a reference's gradient, taken once before training, that examples' gradients are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.select.influence.examples import GradientSketch
from tasks.select.influence.scores import mean_gradient
from tasks.train.format import encode_pairs


def reference_sketch(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    sketch: GradientSketch,
    batch_tokens: int,
    sequence_tokens: int,
) -> np.ndarray:
    """Sketch of the gradient of the pairs' mean loss of an answer token, (m,): one forward and backward pass over each.

    Raises:
        BadInput: no pair has a token of its answer in so many tokens, or the gradient is not finite.
    """
    examples = encode_pairs(tokenizer, pairs, sequence_tokens)
    tokens = int(examples.loss_lengths.sum())
    if not tokens:
        raise BadInput("--reference: no example has a token of its answer left; raise --sequence-tokens")
    gradient = mean_gradient(model, examples, sketch.layers, batch_tokens)
    found: np.ndarray = sketch.of(gradient).double().cpu().numpy() * (len(examples) / tokens)
    if not np.isfinite(found).all():
        raise BadInput(
            "--reference: the model's gradient on it is not finite; the model's weights may be damaged"
        )
    return found
