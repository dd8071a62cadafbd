from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import SUMS

from tasks.records import BadInput
from tasks.train.checkpoint import load_student
from tasks.train.evaluate import evaluate
from tasks.train.finetune import answer_losses, draw, finetune, fit, schedule
from tasks.train.format import encode_pairs, from_sequences, pad
from tasks.train.training import Training

EQUAL_LENGTHS = from_sequences([[token] * 16 for token in range(1, 33)], [4] * 32)


def test_a_student_learns_eight_pairs_by_heart(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    before = evaluate(model, tokenizer, SUMS[:8])
    log = finetune(
        model, tokenizer, SUMS[:8], Training(epochs=80, learning_rate=5e-3, batch_tokens=1024, seed=0)
    )
    after = evaluate(model, tokenizer, SUMS[:8])
    assert before.exact_match == 0
    assert after.exact_match == 1
    assert after.nll < 0.05 < before.nll
    assert log.losses[-1] < 0.1 < log.losses[0]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])  # GPT-2 has dropout
def test_the_same_seed_gives_the_same_losses_and_another_does_not(
    kind: str, request: pytest.FixtureRequest
) -> None:
    def losses(seed: int) -> list[float]:
        model, tokenizer = load_student(request.getfixturevalue(kind))
        return finetune(
            model, tokenizer, SUMS, Training(tokens=3000, learning_rate=1e-3, batch_tokens=512, seed=seed)
        ).losses

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_training_leaves_the_global_random_state_as_it_was(gpt2: Path) -> None:
    model, tokenizer = load_student(gpt2)
    before = torch.random.get_rng_state()
    finetune(model, tokenizer, SUMS[:4], Training(tokens=300, learning_rate=1e-3, seed=0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_loss_is_the_mean_over_the_answer_tokens_of_the_batch(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    pairs = [("Why?", "7"), ("What is 3 plus 11?", "The sum is 14, or so it seems to me.")]
    scores = evaluate(model, tokenizer, pairs)
    total = int(encode_pairs(tokenizer, pairs, 512).lengths.sum())
    log = finetune(model, tokenizer, pairs, Training(tokens=total, learning_rate=1e-9, seed=0))
    assert len(log.losses) == 1
    np.testing.assert_allclose(log.losses[0], scores.nll, rtol=1e-5)


def test_what_stands_in_padding_changes_neither_loss_nor_gradient(llama: Path) -> None:
    model, _ = load_student(llama)
    examples = from_sequences([[5, 6, 7, 8, 9, 10, 11, 12], [20, 21, 22]], [2, 1])
    gradients = []
    for padding in (0, 77):
        model.zero_grad()
        losses, _ = answer_losses(model, *pad(examples, np.array([0, 1]), padding), torch.device("cpu"))
        losses.mean().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    alone = [
        answer_losses(model, *pad(examples, np.array([row]), 0), torch.device("cpu"))[0].detach()
        for row in (0, 1)
    ]
    torch.testing.assert_close(losses.detach(), torch.cat(alone))
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("tokens", [50, 700, 5000])
def test_training_uses_the_tokens_it_was_given_and_never_more(llama: Path, tokens: int) -> None:
    model, tokenizer = load_student(llama)
    longest = int(encode_pairs(tokenizer, SUMS, 512).lengths.max())
    seen: list[tuple[int, int]] = []
    log = finetune(
        model,
        tokenizer,
        SUMS,
        Training(tokens=tokens, learning_rate=1e-4, batch_tokens=512),
        progress=lambda used, planned: seen.append((used, planned)),
    )
    assert tokens - longest < log.tokens <= tokens
    assert seen[-1] == (log.tokens, tokens)
    assert len(seen) == len(log.losses) == len(log.learning_rates)


def test_epochs_are_passes_over_the_pairs(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    one = int(encode_pairs(tokenizer, SUMS, 512).lengths.sum())
    log = finetune(model, tokenizer, SUMS, Training(epochs=2, learning_rate=1e-4, seed=0))
    assert log.tokens == 2 * one


def test_every_pass_takes_the_examples_in_another_order(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    def spy(examples: Any, rows: Any, padding: int) -> Any:
        order.extend(rows.tolist())
        return pad(examples, rows, padding)

    monkeypatch.setattr("tasks.train.finetune.pad", spy)
    fit(load_student(llama)[0], EQUAL_LENGTHS, Training(epochs=2, learning_rate=1e-4, batch_tokens=64))
    assert sorted(order[:32]) == sorted(order[32:]) == list(range(32))
    assert order[:32] != order[32:]


def test_no_pairs_train_nothing(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    log = finetune(model, tokenizer, [], Training(tokens=1000, learning_rate=1e-3, seed=0))
    assert (log.tokens, log.losses) == (0, [])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_of_very_many_pairs_only_what_can_be_read_is_tokenised(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenised: list[int] = []

    def spy(tokenizer: Any, pairs: Any, sequence_tokens: int) -> Any:
        tokenised.append(len(pairs))
        return encode_pairs(tokenizer, pairs, sequence_tokens)

    monkeypatch.setattr("tasks.train.finetune.encode_pairs", spy)
    monkeypatch.setattr("tasks.train.finetune.MANY", 100)
    model, tokenizer = load_student(llama)
    for tokens in (50, 150):
        training = Training(tokens=tokens, learning_rate=1e-4)
        finetune(model, tokenizer, SUMS * 50, training)
        finetune(model, tokenizer, SUMS * 4, training)
    finetune(model, tokenizer, SUMS * 5, Training(epochs=0.1, learning_rate=1e-4))
    assert tokenised == [100, len(SUMS) * 4, 150, len(SUMS) * 4, len(SUMS) * 5]


def test_a_part_of_the_pairs_is_drawn_from_all_of_them_by_seed_and_stretch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.train.finetune.MANY", 300)
    pairs = [(f"{number:04d}", "") for number in range(3000)]

    def drawn(seed: int = 0, start: float = 0.0) -> list[int]:
        return [int(question) for question, _ in draw(pairs, Training(tokens=9, seed=seed, start=start))]

    first = drawn()
    assert len(set(first)) == 300
    assert first == sorted(first) == drawn()
    assert np.mean(first) == pytest.approx(1500, abs=200)
    assert first not in (drawn(seed=1), drawn(start=0.5))


def test_two_halves_follow_the_schedule_of_one_run(llama: Path) -> None:
    def rates(tokens: int, start: float, end: float, model: Any) -> list[float]:
        return fit(
            model,
            EQUAL_LENGTHS,
            Training(tokens=tokens, learning_rate=1e-3, batch_tokens=64, start=start, end=end),
        ).learning_rates

    whole = rates(1024, 0, 1, load_student(llama)[0])
    model = load_student(llama)[0]
    halves = rates(512, 0, 0.5, model) + rates(512, 0.5, 1, model)
    assert len(whole) == 16
    np.testing.assert_allclose(halves, whole, rtol=1e-9)


def test_a_warm_start_goes_on_from_where_the_first_half_came_to(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    first = finetune(
        model, tokenizer, SUMS, Training(epochs=6, learning_rate=3e-3, batch_tokens=512, seed=0, end=0.5)
    )
    second = finetune(
        model, tokenizer, SUMS, Training(epochs=6, learning_rate=3e-3, batch_tokens=512, seed=0, start=0.5)
    )
    assert np.mean(second.losses) < np.mean(first.losses[-3:])


def test_the_schedule_rises_briefly_then_falls_to_nothing() -> None:
    assert schedule(0) == 0
    assert schedule(0.03) == 1
    assert math.isclose(schedule(0.515), 0.5)
    assert math.isclose(schedule(1), 0, abs_tol=1e-12)
    values = [schedule(share) for share in np.linspace(0.03, 1, 50)]
    assert values == sorted(values, reverse=True)


def test_gradients_are_clipped(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def spy(optimizer: Any, *arguments: Any, **named: Any) -> Any:
        gradients = [p.grad.norm() for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        norms.append(float(torch.stack(gradients).norm()))
        return step(optimizer, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    monkeypatch.setattr("tasks.train.finetune.MAX_NORM", 0.01)
    model, tokenizer = load_student(llama)
    finetune(model, tokenizer, SUMS, Training(tokens=1000, learning_rate=1e-3, batch_tokens=512, seed=0))
    assert norms
    assert max(norms) <= 0.01 * 1.001


def test_a_training_that_diverges_says_so(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(BadInput, match=r"--learning-rate 0\.001: the loss was not finite at step 0"):
        finetune(model, tokenizer, SUMS, Training(tokens=1000, learning_rate=1e-3, seed=0))
