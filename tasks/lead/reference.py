"""What the data is chosen for: how much each example helps a reference, by their gradients before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.select.influence.examples import GradientSketch
from tasks.select.influence.scores import Direction, mean_gradient, stream_products
from tasks.train.format import Examples, encode_pairs

_CUT = 0.01  # of the examples at either end, whose gains are cut to that of the next


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference as training meets it.

    Args:
        sketch: of the gradient of its mean loss of an answer token, before training, (m,).
        gains: by how much a step on each example of the pool lowers that loss for each token of the example, to first order and in the
            gradients' own scale, (n,).
    """

    sketch: np.ndarray
    gains: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """How likely each example is to be drawn beside others, (n,): exp(z), z the gains without their extremes, standardised."""
        gains = np.clip(self.gains, *np.quantile(self.gains, [_CUT, 1 - _CUT]))
        spread = gains.std()
        found: np.ndarray = np.exp((gains - gains.mean()) / spread) if spread > 0 else np.ones(len(gains))
        return found


def look(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    pool: Examples,
    sketch: GradientSketch,
    batch_tokens: int,
    sequence_tokens: int,
) -> Reference:
    """One forward and backward pass over the reference's pairs, and one, without weights' gradients, over the n examples of the pool.

    Raises:
        BadInput: no pair has a token of its answer in so many tokens, or the gradient is not finite.
    """
    examples = encode_pairs(tokenizer, pairs, sequence_tokens)
    tokens = int(examples.loss_lengths.sum())
    if not tokens:
        raise BadInput("--reference: no example has a token of its answer left; raise --sequence-tokens")
    gradient = {
        name: matrix * (len(examples) / tokens)
        for name, matrix in mean_gradient(model, examples, sketch.layers, batch_tokens).items()
    }
    own = sketch.of(gradient).double().cpu().numpy()
    products, _ = stream_products(model, Direction(gradient), pool, batch_tokens, lengths=False)
    if not (np.isfinite(own).all() and np.isfinite(products).all()):
        raise BadInput(
            "--reference: the model's gradients are not finite; the model's weights may be damaged"
        )
    return Reference(own, products / np.asarray(pool.lengths))
