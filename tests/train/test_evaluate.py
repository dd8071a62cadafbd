from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import SUMS

from tasks.train.checkpoint import load_student
from tasks.train.evaluate import evaluate, pair_losses
from tasks.train.finetune import finetune
from tasks.train.training import Training

MIXED = [
    *SUMS[:5],
    ("Why?", "Because the answer is longer here, and longer."),
    ("A much longer question " * 4, "7"),
]


def nll_by_hand(model: Any, tokenizer: Any, question: str, answer: str) -> list[float]:
    """Minus log-probability of each answer token, one pair at a time, from the model's plain logits."""
    prompt = tokenizer.encode(f"Question: {question}\nAnswer:", add_special_tokens=False)
    tail = [*tokenizer.encode(f" {answer}", add_special_tokens=False), tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([prompt + tail])).logits[0].double().numpy()
    shifted = logits - logits.max(1, keepdims=True)
    logprobs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return [-logprobs[len(prompt) - 1 + step, token] for step, token in enumerate(tail)]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_nll_is_that_of_plain_logits_one_pair_at_a_time(kind: str, request: pytest.FixtureRequest) -> None:
    model, tokenizer = load_student(request.getfixturevalue(kind))
    scores = evaluate(model, tokenizer, MIXED, batch_tokens=512)
    by_hand = [nll_by_hand(model, tokenizer, *pair) for pair in MIXED]
    np.testing.assert_allclose(scores.nll, np.concatenate(by_hand).mean(), rtol=1e-5)


def test_losses_of_pairs_are_those_of_each_alone_whatever_the_batches(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    by_hand = [nll_by_hand(model, tokenizer, *pair) for pair in MIXED]
    for batch in (1, 100, 100_000):
        found = pair_losses(model, tokenizer, MIXED, batch_tokens=batch)
        np.testing.assert_allclose(found.loss, [sum(each) for each in by_hand], rtol=1e-5)
        assert found.answered.tolist() == [len(each) for each in by_hand]
    lengths = [
        len(tokenizer.encode(f"Question: {question}\nAnswer: {answer}", add_special_tokens=False)) + 1
        for question, answer in MIXED
    ]
    assert found.lengths.tolist() == lengths


def test_scores_do_not_depend_on_the_batch_size(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    alone = evaluate(model, tokenizer, MIXED, batch_tokens=1)
    together = evaluate(model, tokenizer, MIXED, batch_tokens=100_000)
    np.testing.assert_allclose(alone.nll, together.nll, rtol=1e-5)
    assert alone.exact_match == together.exact_match


def test_exact_match_is_what_greedy_generation_gives(llama: Path) -> None:
    model, tokenizer = load_student(llama)
    finetune(model, tokenizer, SUMS[:12], Training(epochs=40, learning_rate=5e-3, batch_tokens=512, seed=0))
    right = []
    for question, answer in SUMS[:16]:
        prompt = tokenizer(f"Question: {question}\nAnswer:", return_tensors="pt")
        produced = model.generate(**prompt, do_sample=False, max_new_tokens=40)[
            0, prompt["input_ids"].shape[1] :
        ]
        right.append(tokenizer.decode(produced) == f" {answer}{tokenizer.eos_token}")
    scores = evaluate(model, tokenizer, SUMS[:16])
    assert scores.exact_match == np.mean(right)
    assert 0 < scores.exact_match < 1  # some are right and some are not, or the comparison says nothing


def test_an_empty_set_has_no_score(llama: Path) -> None:
    scores = evaluate(*load_student(llama), [])
    assert math.isnan(scores.nll)
    assert math.isnan(scores.exact_match)
