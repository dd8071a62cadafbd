"""What the data is chosen for: a reference's gradient before training, and how much each example helps along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils import get_total_norm

from tasks.prepare.vectors import pair_text
from tasks.records import BadInput
from tasks.select.cluster import kmeans
from tasks.select.influence.examples import GradientSketch
from tasks.select.influence.scores import Direction, mean_gradient, stream_products
from tasks.select.lsa import LSAEncoder
from tasks.train.format import Examples, encode_pairs, taken

KINDS, FEWEST = 4, 10  # of a reference, at most; examples that one has on average at least
_DIMENSIONS = 16  # of the LSA that tells them apart: few, for they are topics
_SHARPNESS = 2.0
_CUT = 0.01  # of the examples at either end, whose gains are cut to that of the next


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference as training meets it.

    Args:
        sketch: of the gradient that the bandit is told gains along, (m,): the mean of those of its kinds' losses before training, by their
            shares, each in units of how much examples of the pool differ along it, or of its own length where nobody looked at them.
        weights: how likely each example of the pool is to be drawn, (n,), 1 in the mean, where examples are; see `weights_of`.
    """

    sketch: np.ndarray
    weights: np.ndarray | None


def kinds_of(pairs: Sequence[tuple[str, str]], pool: Sequence[tuple[str, str]], seed: int) -> np.ndarray:
    """Kind of each of r pairs of a reference, (r,), by likeness of the texts; the words' weights are the pool's."""
    wanted = min(KINDS, len(pairs) // FEWEST)
    one = np.zeros(len(pairs), dtype=np.int32)
    if wanted < 2:
        return one
    try:
        encoder = LSAEncoder.fit([pair_text(*pair) for pair in pool], _DIMENSIONS, seed)
    except BadInput:  # not a word in them
        return one
    return kmeans(np.asarray(encoder.encode([pair_text(*pair) for pair in pairs])), wanted, seed).labels


def look(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    kinds: np.ndarray,
    pool: Examples | None,
    sketch: GradientSketch,
    batch_tokens: int,
    sequence_tokens: int,
) -> Reference:
    """One forward and backward pass over the reference's pairs, and one, without weights' gradients, over n examples of the pool.

    Holds a float32 copy of the trained layers, or with a pool one for each kind of the reference.

    Args:
        pairs: r of them; kinds: of each, (r,). A reference may be of several, and its mean gradient is mostly that of the kind whose loss
            falls most easily, so every kind has its own.
        pool: what gets weights; None of it, and no pass over it.

    Raises:
        BadInput: no pair has a token of its answer in so many tokens, or the gradient is not finite.
    """
    examples = encode_pairs(tokenizer, pairs, sequence_tokens)
    gradients: list[dict[str, torch.Tensor]] = []
    sketches: list[np.ndarray] = []
    lengths: list[float] = []
    counts: list[int] = []
    for kind in range(kinds.max(initial=-1) + 1):
        own = taken(examples, np.flatnonzero((kinds == kind) & (examples.loss_lengths > 0)))
        if not len(own):
            continue
        gradient = mean_gradient(model, own, sketch.layers, batch_tokens)
        sketches.append(sketch.of(gradient).double().cpu().numpy())
        counts.append(len(own))
        if pool is None:
            lengths.append(float(get_total_norm(list(gradient.values()))))
        else:
            gradients.append(gradient)
    if not counts:
        raise BadInput("--reference: no example has a token of its answer left; raise --sequence-tokens")
    found = np.array(lengths)
    if pool is not None:
        found, _ = stream_products(model, list(map(Direction, gradients)), pool, batch_tokens, lengths=False)
    if not np.isfinite(found).all():
        raise BadInput(
            "--reference: the model's gradients are not finite; the model's weights may be damaged"
        )
    shares, units, weights = np.array(counts) / sum(counts), found, None
    if pool is not None:
        gains = without_extremes(found / np.asarray(pool.lengths))
        units, weights = gains.std(axis=1), weights_of(gains, shares)
    each = np.divide(shares, units, out=np.zeros_like(units), where=units > 0)
    return Reference(each @ np.stack(sketches), weights)


def without_extremes(gains: np.ndarray) -> np.ndarray:
    """Gains of each kind, (k, n), of which a few at either end are cut to that of the next, so that none makes all others alike."""
    low, high = np.quantile(gains, [_CUT, 1 - _CUT], axis=1, keepdims=True)
    found: np.ndarray = np.clip(gains, low, high)
    return found


def weights_of(gains: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """How likely each example is to be drawn beside others, (n,), 1 in the mean.

    Each kind has its share of the draws, and draws examples in proportion to exp(2 z), z its gains, standardised.

    Args:
        gains: by how much a step on each example lowers the loss of each kind, for each token of the example, to first order and in any
            scale, (k, n).
        shares: of the kinds, (k,), together 1.
    """
    found = np.zeros(gains.shape[1])
    for own, share in zip(gains, shares, strict=True):
        spread = own.std()
        sharp = np.exp(_SHARPNESS * (own - own.mean()) / spread) if spread > 0 else np.ones(len(own))
        found += share * sharp / sharp.mean()
    return found
