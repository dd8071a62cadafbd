"""A training step that watches its examples: it trains as any other, and what it foretells is near what happens."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tasks.lead.steps import DECAY, DECAY_STEPS, PassCounter, Trainer
from tasks.records import BadInput
from tasks.select.idu import Change, loss_change
from tasks.select.influence.examples import GradientSketch, gradient_of, trained_layers
from tasks.train.finetune import MAX_NORM, answer_losses, make_optimizer
from tasks.train.format import IGNORED, pad
from tests.select.influence.causal_models import make_examples, make_model

CPU = torch.device("cpu")


def losses(model: Any, examples: Any) -> np.ndarray:
    """Mean loss of each example's answer tokens, without dropout."""
    input_ids, labels = pad(examples, np.arange(len(examples)), 0)
    with torch.inference_mode():
        each = answer_losses(model, input_ids, labels, CPU)[0].numpy()
    owner = np.nonzero(labels[:, 1:] != IGNORED)[0]
    return np.bincount(owner, each) / np.bincount(owner)


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


@pytest.mark.parametrize(
    ("change", "in_batch", "earlier"), [("mixture", 0.6, 0.35), ("first-order", 0.8, 0.7)]
)
def test_the_foretold_change_of_a_loss_goes_with_the_real_one(
    change: Change, in_batch: float, earlier: float
) -> None:
    """Pearson's r over 40 steps of AdamW at 1e-3: for the examples of a step, and for those visited up to 12 steps before it.

    Here .71 and .50 with the mixture, .90 and .82 to first order. On a Llama of 0.2 M weights with 400 examples of GSM8K .63
    and .47, and .78 and .67; with 400 sums and questions about cooking .85 and .75, and .94 and .77. The mixture foretells falls for
    examples that a step has nothing to do with: its error on those visited before (root mean square, .024, .023 and .041
    nats) is larger than that of foretelling nothing (.013, .014 and .016); that of the first order is .009 on GSM8K and .019.
    """
    model, examples = make_model(seed=1, dtype=torch.float64), make_examples(48, 1, prompts=True)
    trainer = Trainer(model, 1e-3, GradientSketch(model, 32))
    known: dict[int, tuple[float, np.ndarray]] = {}
    told: dict[bool, list[float]] = {True: [], False: []}  # by whether an example is in the step's batch
    real: dict[bool, list[float]] = {True: [], False: []}
    before = losses(model, examples)
    for number in range(40):
        batch = (np.arange(4) + 4 * number) % 48
        step = trainer.step(*pad(examples, batch, 0))
        after = losses(model, examples)
        known.update(zip(batch.tolist(), zip(step.squares, step.sketches, strict=True), strict=True))
        for row, (square, sketch) in known.items():
            lengths = np.linalg.norm(sketch) * np.linalg.norm(step.move.sketch)
            cosine = np.array([sketch @ step.move.sketch / lengths])
            change_told = loss_change(np.array([square]), step.move.square, cosine, step.move.rate, change)
            told[row in batch].append(float(change_told[0]))
            real[row in batch].append(after[row] - before[row])
        before = after
    found = {among: float(np.corrcoef(told[among], real[among])[0, 1]) for among in (True, False)}
    assert found[True] > in_batch
    assert found[False] > earlier


def test_a_loss_that_is_not_finite_is_bad_input() -> None:
    model, examples = make_model(), make_examples(4, 1)
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight.fill_(float("nan"))
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
