"""Inputs and output gradients of layers: all that a gradient of a linear layer's weight is made of.

For a sequence with inputs x (t, i) and gradients d (t, o) of the layer's outputs the weight's gradient is d^T x. None is
made here, and every use of (x, d) costs what it needs; where nothing is trained meanwhile weights are frozen, so that the
backward pass does half of its usual work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from tasks.records import BadInput
from tasks.select.influence.layers import LinearLayer
from tasks.train.finetune import answer_logits
from tasks.train.format import Examples, Ints, pad, plan_batches

Use = Callable[[str, torch.Tensor, torch.Tensor], None]
"""Called in the backward pass with a layer's name, its inputs (b, t, i) and its output gradients (b, t, o), float32."""


@contextmanager
def hooked(model: Any, layers: Mapping[str, LinearLayer], use: Use, once: bool = False) -> Iterator[None]:
    """Inside, every backward pass hands each layer's inputs and output gradients to `use`; weights may be trained meanwhile.

    The model is called with `input_ids` by name.

    Args:
        once: a layer that is called twice in a pass, whose gradient is a sum over both calls, is an error.
    """
    places: tuple[int, ...] = ()  # (b, t) of the batch
    called: set[str] = set()

    def look(module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal places
        places = tuple(named["input_ids"].shape)
        called.clear()

    def by_sequence(values: torch.Tensor) -> torch.Tensor:
        """OPT lays the sequences of a batch end to end, (b * t, i), for its MLP."""
        return values if values.dim() == 3 else values.view(*places, values.shape[-1])

    def hook_for(name: str, layer: LinearLayer) -> Callable[..., None]:
        def hook(module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if once and name in called:
                raise BadInput(
                    f"influence: the model calls its layer {name} twice in a pass, which has no factors here"
                )
            called.add(name)
            given = by_sequence(inputs[0].detach())
            # Where all before it is frozen, gradients are taken back to here and no further.
            if not output.requires_grad:
                output.requires_grad_(True)
            output.register_hook(  # type: ignore[no-untyped-call]
                lambda gradient: use(name, layer.inputs(given), layer.gradients(by_sequence(gradient)))
            )

        return hook

    hooks = [model.register_forward_pre_hook(look, with_kwargs=True)]
    hooks += [layer.module.register_forward_hook(hook_for(name, layer)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def captured(model: Any, layers: Mapping[str, LinearLayer], use: Use) -> Iterator[None]:
    """As `hooked`, with all weights frozen and without dropout, each layer called once; the model's state comes back."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    was_training = model.training
    for parameter in trained:
        parameter.requires_grad_(False)
    model.eval()
    try:
        with hooked(model, layers, use, once=True):
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        model.train(was_training)


def passes(
    model: Any,
    examples: Examples,
    batch_tokens: int,
    before: Callable[[Ints, torch.Tensor], None] | None = None,
) -> Iterator[Ints]:
    """A forward and a backward pass of the summed loss over every batch of the examples.

    Batches are of sequences of like length, at most `batch_tokens` with their padding; a sequence's values do not depend
    on which others share its batch.

    Args:
        before: called ahead of each batch with its rows and which of its places (b, t) are no padding.

    Yields:
        Rows of the batch whose backward pass is done.
    """
    device = next(model.parameters()).device
    for rows in plan_batches(examples.lengths, batch_tokens):
        input_ids, labels = pad(examples, rows, 0)
        if before is not None:
            real = np.arange(input_ids.shape[1]) < examples.lengths[rows][:, None]
            before(rows, torch.from_numpy(real).to(device))
        if not input_ids.shape[1]:  # no model takes sequences without a token
            yield rows
            continue
        with torch.enable_grad():  # the caller may have turned gradients off
            logits, targets = answer_logits(model, input_ids, labels, device)
        if len(targets):
            # The gradient of the summed cross entropy, without the loss: one more array as large as the logits, not three.
            gradient = logits.detach().softmax(-1)
            gradient[torch.arange(len(targets), device=device), targets] -= 1
            logits.backward(gradient)  # type: ignore[no-untyped-call]
        yield rows
