"""A training step that also tells what an example's utility is made of: nothing is passed through the model for it alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.select.idu import Move
from tasks.select.influence.examples import GradientSketch, gradient_of, weight_of
from tasks.train.finetune import MAX_NORM, answer_losses, diverged, make_optimizer
from tasks.train.format import IGNORED, Ints

DECAY, DECAY_STEPS = 0.995, 8  # of the learning rate: LEAD's, by this factor every so many steps


@dataclass(frozen=True, slots=True)
class Step:
    """What a training step saw of its b examples.

    Args:
        loss: mean cross entropy of the batch's answer tokens, nats: what was trained on.
        losses: mean cross entropy of each example's answer tokens before the step, nats, (b,).
        answered: those tokens, (b,).
        squares: squared lengths of the gradients of `losses`, (b,).
        sketches: their projections, float32 (b, m).
        move: how the step moved the weights.
    """

    loss: float
    losses: np.ndarray
    answered: np.ndarray
    squares: np.ndarray
    sketches: np.ndarray
    move: Move


class Trainer:
    """AdamW on the loss of a batch's answer tokens, as `tasks.train.finetune` trains, which also watches its examples.

    Args:
        model: in training mode.
        learning_rate: before its decay.
        sketch: of the model's trained layers.
    """

    def __init__(self, model: Any, learning_rate: float, sketch: GradientSketch) -> None:
        self.model, self.learning_rate, self.sketch = model, learning_rate, sketch
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(self.parameters, learning_rate)
        self.steps = 0
        self.rate: float | None = None

    def step(self, input_ids: Ints, labels: Ints) -> Step:
        """One forward and one backward pass over a batch, (b, t), and one step of the optimiser.

        Its rate is `rate` if that is set, or decays as LEAD's does.

        Raises:
            BadInput: the loss is not a finite number.
        """
        rows = len(input_ids)
        owner = np.nonzero(labels[:, 1:] != IGNORED)[0]
        answered = np.bincount(owner, minlength=rows)
        decayed = self.learning_rate * DECAY ** (self.steps // DECAY_STEPS)
        self.optimizer.param_groups[0]["lr"] = decayed if self.rate is None else self.rate
        with self.sketch.seen(rows) as seen:
            each, _ = answer_losses(self.model, input_ids, labels, self.parameters[0].device)
            loss = each.mean()
            loss.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(value := float(loss.detach())):
            raise diverged(self.learning_rate, f"at step {self.steps}")
        # The batch's loss weighs each token alike, so an example's part in it is answered / all of its own mean loss.
        scale = len(owner) / answered
        move = self._move()
        self.steps += 1
        return Step(
            loss=value,
            losses=np.bincount(owner, each.detach().double().cpu().numpy(), rows) / answered,
            answered=answered,
            squares=seen.squares.double().cpu().numpy() * scale**2,
            sketches=seen.sketches.cpu().numpy() * scale[:, None].astype(np.float32),
            move=move,
        )

    def _move(self) -> Move:
        """Step, and compare the weights before and after.

        An optimiser with moments does not go along the gradient. Where it went, in the length of the batch's gradient, is
        taken for the step's gradient, and the length of its way over that for eta: of plain gradient descent that is the
        gradient and the learning rate themselves, and the angle to an example's gradient is the true one either way.
        """
        layers = self.sketch.layers
        square = float(sum(gradient_of(layer).float().square().sum() for layer in layers.values()))
        torch.nn.utils.clip_grad_norm_(self.parameters, MAX_NORM)
        before = {name: weight_of(layer).clone() for name, layer in layers.items()}
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        way = {name: weight_of(layer) - before[name] for name, layer in layers.items()}
        length = float(sum(part.float().square().sum() for part in way.values())) ** 0.5
        rate = length / square**0.5 if square > 0 else 0.0
        sketch = self.sketch.of(way).cpu().numpy()
        return Move(square, -sketch / rate if rate > 0 else np.zeros_like(sketch), rate)


class PassCounter:
    """Forward passes of a model and steps of its optimiser, each counted by a hook of its own."""

    def __init__(self) -> None:
        self.forward_passes = self.steps = 0

    @property
    def extra(self) -> int:
        """Forward passes outside training steps: a step has one."""
        return self.forward_passes - self.steps

    @contextmanager
    def counting(self, model: Any, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Inside, both are counted; passes at the input embeddings, which each goes through whatever wraps the model."""

        def passed(*_: Any) -> None:
            self.forward_passes += 1

        def stepped(*_: Any) -> None:
            self.steps += 1

        hooks = [
            model.get_input_embeddings().register_forward_hook(passed),
            optimizer.register_step_post_hook(stepped),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
