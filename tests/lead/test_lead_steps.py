"""A training step that watches its examples: it trains as any other, and what it foretells is near what happens."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tasks.lead.steps import DECAY, DECAY_STEPS, PassCounter, Trainer
from tasks.records import BadInput
from tasks.select.influence.examples import GradientSketch, gradient_of, trained_layers
from tasks.train.finetune import MAX_NORM, answer_losses, make_optimizer
from tasks.train.format import pad
from tests.lead.foretelling import foretold, losses
from tests.select.influence.causal_models import make_examples, make_model

CPU = torch.device("cpu")


def test_it_trains_as_a_plain_step_does() -> None:
    model, examples = make_model(dtype=torch.float64), make_examples(8, 2, prompts=True)
    plain = copy.deepcopy(model)
    trainer = Trainer(model, 1e-3, GradientSketch(model, 4))
    optimizer = make_optimizer(list(plain.parameters()), 1e-3)
    for number in range(2 * DECAY_STEPS):
        batch = pad(examples, np.arange(number % 4, 8), 0)
        optimizer.param_groups[0]["lr"] = 1e-3 * DECAY ** (number // DECAY_STEPS)
        loss = answer_losses(plain, *batch, CPU)[0].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), MAX_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        assert trainer.step(*batch).loss == pytest.approx(float(loss.detach()), rel=1e-12)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_losses_and_gradients_are_each_examples_own_however_long_its_answer_is(kind: str) -> None:
    model, examples = make_model(kind, dtype=torch.float64), make_examples(7, 3, prompts=True)
    rows = np.arange(7)
    before = losses(model, examples)
    squares = []
    for row in rows:
        model.zero_grad()
        answer_losses(model, *pad(examples, np.array([row]), 0), CPU)[0].mean().backward()
        squares.append(
            float(sum(gradient_of(layer).square().sum() for layer in trained_layers(model).values()))
        )
    model.zero_grad()
    answer_losses(model, *pad(examples, rows, 0), CPU)[0].mean().backward()
    whole = float(sum(gradient_of(layer).square().sum() for layer in trained_layers(model).values()))
    model.zero_grad(set_to_none=True)
    step = Trainer(model, 1e-3, GradientSketch(model, 4)).step(*pad(examples, rows, 0))
    assert step.losses == pytest.approx(before, rel=1e-5)
    assert step.squares == pytest.approx(squares, rel=1e-5)
    assert step.move.square == pytest.approx(whole, rel=1e-5)


def test_of_plain_gradient_descent_the_move_is_the_gradient_and_the_learning_rate() -> None:
    model, examples = make_model(dtype=torch.float64), make_examples(6, 4)
    sketch = GradientSketch(model, 16)
    trainer = Trainer(model, 1e-4, sketch)
    trainer.optimizer = torch.optim.SGD(trainer.parameters, lr=1e-4)
    batch = pad(examples, np.arange(6), 0)
    answer_losses(model, *batch, CPU)[0].mean().backward()
    gradients = {name: gradient_of(layer).clone() for name, layer in sketch.layers.items()}
    norm = float(torch.nn.utils.get_total_norm([one.grad for one in trainer.parameters]))
    model.zero_grad(set_to_none=True)
    move = trainer.step(*batch).move
    clipped = min(1.0, MAX_NORM / norm)  # a clipped gradient is one at a lower rate
    assert move.rate == pytest.approx(1e-4 * clipped, rel=1e-4)
    wanted = sketch.of(gradients).numpy()
    assert move.sketch == pytest.approx(wanted, rel=1e-3, abs=1e-3 * float(np.linalg.norm(wanted)))


def test_the_foretold_change_of_a_loss_goes_with_the_real_one() -> None:
    """Of random weights and tokens; `python -m tests.bench.foretold` has others, and errors."""
    model, examples = make_model(seed=1, dtype=torch.float64), make_examples(48, 1, prompts=True)
    own, earlier = foretold(model, examples)
    assert (len(own.real), len(earlier.real)) == (160, 4 * sum(min(number, 11) for number in range(40)))
    assert own.r("first-order") > 0.8
    assert earlier.r("first-order") > 0.7
    assert earlier.error("first-order") < earlier.error(None)
    assert own.r("mixture") > 0.6
    assert earlier.r("mixture") > 0.35


def test_a_loss_that_is_not_finite_is_bad_input() -> None:
    model, examples = make_model(), make_examples(4, 1)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(BadInput, match="the loss was not finite at step 0"):
        Trainer(model, 1e-3, GradientSketch(model, 4)).step(*pad(examples, np.arange(4), 0))


def test_passes_are_counted_where_they_happen() -> None:
    model, examples = make_model(), make_examples(4, 1)
    trainer, counter = Trainer(model, 1e-3, GradientSketch(model, 4)), PassCounter()
    batch = pad(examples, np.arange(4), 0)
    with counter.counting(model, trainer.optimizer):
        trainer.step(*batch)
        trainer.step(*batch)
        assert (counter.forward_passes, counter.steps, counter.extra) == (2, 2, 0)
        losses(model, examples)
    losses(model, examples)
    assert counter.extra == 1
