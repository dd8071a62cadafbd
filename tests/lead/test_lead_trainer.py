"""LEAD as a trainer: for a stated number of tokens, on what it chooses, by the training's own schedule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.lead.settings import ChoosingSettings
from tasks.lead.trainer import finetune_by_choice
from tasks.train.checkpoint import load_student
from tasks.train.evaluate import pair_losses
from tasks.train.finetune import finetune
from tasks.train.format import encode_pairs, taken
from tasks.train.train import train_student
from tasks.train.training import Training
from tests.lead.prepared import examples, watched_rows

PAIRS = [(one["question"], one["answer"]) for one in examples(60)]
TRAINING = Training(tokens=1500, learning_rate=5e-3, batch_tokens=256, sequence_tokens=96, seed=3)


def test_it_learns_from_as_many_tokens_as_are_given(gpt2: Path) -> None:
    model, tokenizer = load_student(gpt2)
    before = pair_losses(model, tokenizer, PAIRS, sequence_tokens=96).nll
    told: list[tuple[int, int]] = []
    log = finetune_by_choice(model, tokenizer, PAIRS, TRAINING, lambda *done: told.append(done))
    longest = int(encode_pairs(tokenizer, PAIRS, 96).lengths.max())
    assert 1500 - longest < log.tokens <= 1500
    assert told[-1] == (log.tokens, 1500)
    assert len(log.losses) == len(log.learning_rates) > 0
    assert pair_losses(model, tokenizer, PAIRS, sequence_tokens=96).nll < before - 0.1
    assert not model.training


def test_the_rate_follows_the_stretch_of_the_training_that_this_is(gpt2: Path) -> None:
    rates = []
    for start, end in ((0.0, 0.5), (0.5, 1.0)):
        model, tokenizer = load_student(gpt2)
        rates += finetune_by_choice(
            model, tokenizer, PAIRS, replace(TRAINING, start=start, end=end)
        ).learning_rates
    assert max(rates) <= 5e-3
    assert rates[-1] < 0.02 * 5e-3 * 10
    peak = int(np.argmax(rates))
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_same_seed_makes_the_same_student(gpt2: Path) -> None:
    logs = []
    for _ in range(2):
        model, tokenizer = load_student(gpt2)
        logs.append(finetune_by_choice(model, tokenizer, PAIRS, TRAINING))
    assert logs[0] == logs[1]


def test_how_it_chooses_decides_what_is_trained_on(gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, means = watched_rows(monkeypatch), []
    model, tokenizer = load_student(gpt2)
    losses = pair_losses(model, tokenizer, PAIRS, sequence_tokens=96)
    for choice in ("highest", "random"):
        rows.clear()
        model, tokenizer = load_student(gpt2)
        settings = ChoosingSettings(choice=choice, levels=1, tasks=1)  # type: ignore[arg-type]
        finetune_by_choice(model, tokenizer, PAIRS, replace(TRAINING, tokens=300), settings=settings)
        means.append(np.mean((losses.loss / losses.answered)[rows]))
    highest, drawn = means
    assert highest > drawn


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_no_pair_is_seen_twice(gpt2: Path, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = watched_rows(monkeypatch)
    model, tokenizer = load_student(gpt2)
    every = int(encode_pairs(tokenizer, PAIRS, 96).lengths.sum())
    log = finetune_by_choice(model, tokenizer, PAIRS, replace(TRAINING, tokens=round(share * every)))
    assert len(set(rows)) == len(rows)
    assert log.tokens == pytest.approx(share * every, abs=96)


@pytest.mark.parametrize("share", [1.0, 1.6])
def test_with_tokens_for_every_pair_nothing_is_chosen(
    gpt2: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = watched_rows(monkeypatch)
    model, tokenizer = load_student(gpt2)
    training = replace(TRAINING, tokens=round(share * encode_pairs(tokenizer, PAIRS, 96).lengths.sum()))
    log = finetune_by_choice(model, tokenizer, PAIRS, training)
    assert not rows
    model, tokenizer = load_student(gpt2)
    assert finetune(model, tokenizer, PAIRS, training) == log


def test_nothing_to_train_on_trains_nothing(gpt2: Path) -> None:
    model, tokenizer = load_student(gpt2)
    assert finetune_by_choice(model, tokenizer, [], TRAINING).tokens == 0
    assert finetune_by_choice(model, tokenizer, PAIRS, replace(TRAINING, tokens=0)).tokens == 0
    assert finetune_by_choice(model, tokenizer, PAIRS, replace(TRAINING, tokens=3)).tokens == 0
    # Pairs without a word have no vectors, and are clustered by difficulty alone.
    marks = [("?" * (1 + row % 5), "!" * (1 + row % 3)) for row in range(20)]
    assert finetune_by_choice(model, tokenizer, marks, replace(TRAINING, tokens=200)).tokens > 0


def test_a_students_trainer_is_its_setting(gpt2: Path, tmp_path: Path) -> None:
    scores = {
        by: train_student(gpt2, None, PAIRS, PAIRS[:10], TRAINING, trainer=by)["nll"]  # type: ignore[arg-type]
        for by in ("plain", "lead")
    }
    assert scores["plain"] != scores["lead"]


def test_examples_are_taken_in_the_order_of_their_rows(gpt2: Path) -> None:
    _, tokenizer = load_student(gpt2)
    every = encode_pairs(tokenizer, PAIRS[:5], 96)
    some = taken(every, np.array([3, 1]))
    wanted = encode_pairs(tokenizer, [PAIRS[3], PAIRS[1]], 96)
    assert some.tokens.tolist() == wanted.tokens.tolist()
    assert some.prompts.tolist() == wanted.prompts.tolist()
