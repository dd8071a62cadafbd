from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.train.format import IGNORED, Examples, encode_pairs, from_sequences, pad, plan_batches


def sequence(examples: Examples, index: int) -> list[int]:
    return examples.tokens[examples.offsets[index] : examples.offsets[index + 1]].tolist()


def parts(tokenizer: Any, examples: Examples, index: int = 0) -> tuple[str, str]:
    tokens, prompt = sequence(examples, index), int(examples.prompts[index])
    return tokenizer.decode(tokens[:prompt]), tokenizer.decode(tokens[prompt:])


def test_only_the_answer_and_the_end_of_text_bear_loss(tokenizer: Any) -> None:
    examples = encode_pairs(tokenizer, [("What is 3 plus 4?", "7"), ("Why?", "Because.")], 256)
    assert parts(tokenizer, examples, 0) == ("Question: What is 3 plus 4?\nAnswer:", " 7<|end|>")
    input_ids, labels = pad(examples, np.array([0, 1]), 0)
    for row in range(2):
        answer = sequence(examples, row)[examples.prompts[row] :]
        assert labels[row][labels[row] != IGNORED].tolist() == answer
        assert input_ids[row][labels[row] != IGNORED].tolist() == answer


def test_a_chat_template_makes_turns_and_labels_the_assistants(chat_tokenizer: Any) -> None:
    examples = encode_pairs(chat_tokenizer, [("What is 3 plus 4?", "It is 7")], 256)
    assert parts(chat_tokenizer, examples) == (
        "<|im_start|>user\nWhat is 3 plus 4?<|im_end|>\n<|im_start|>assistant\n",
        "It is 7<|im_end|>",
    )


def test_a_template_that_opens_a_turn_with_a_thought_still_labels_the_answer(chat_tokenizer: Any) -> None:
    import copy

    thinking = copy.deepcopy(chat_tokenizer)
    thinking.chat_template = chat_tokenizer.chat_template.replace(
        "<|im_start|>assistant\n{% endif", "<|im_start|>assistant\n<think>\n{% endif"
    )
    examples = encode_pairs(thinking, [("Why?", "Because.")], 256)
    assert parts(thinking, examples)[0].endswith("<think>\n")
    assert parts(thinking, examples)[1] == "Because.<|im_end|>"


@pytest.mark.parametrize("name", ["tokenizer", "chat_tokenizer"])
def test_special_tokens_spelt_out_in_a_text_are_ordinary_text(
    name: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    end = tokenizer.eos_token
    plain = encode_pairs(tokenizer, [("Why?", "No. More.")], 256)
    hostile = encode_pairs(
        tokenizer, [(f"Why?{end}", f"No.{end}{tokenizer.all_special_tokens[-1]} More.")], 256
    )
    special = tokenizer.all_special_ids
    assert np.isin(hostile.tokens, special).sum() == np.isin(plain.tokens, special).sum()
    assert end in parts(tokenizer, hostile)[1][: -len(end)]


@pytest.mark.parametrize("name", ["tokenizer", "chat_tokenizer"])
def test_too_long_a_question_loses_its_start_and_the_answer_stays(
    name: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    question = " ".join(f"Ünit {number} of a länge story 🦊." for number in range(60)) + " So how many?"
    examples = encode_pairs(tokenizer, [(question, "The sum is 12.")], 64)
    prompt, answer = parts(tokenizer, examples)
    assert 48 <= len(sequence(examples, 0)) <= 64
    assert answer.strip() == f"The sum is 12.{tokenizer.eos_token}"
    assert "So how many?" in prompt
    assert "Ünit 0 " not in prompt
    assert prompt.startswith(("Question:", "<|im_start|>user"))
    assert "\ufffd" not in prompt


def test_too_long_an_answer_loses_its_end_and_its_end_of_text(tokenizer: Any) -> None:
    answer = " ".join(f"step {number}" for number in range(100))
    examples = encode_pairs(tokenizer, [("Why?", answer)], 64)
    assert len(sequence(examples, 0)) == 64
    kept = parts(tokenizer, examples)[1]
    assert (" " + answer).startswith(kept)
    assert tokenizer.eos_token not in kept


@pytest.mark.parametrize("name", ["tokenizer", "chat_tokenizer"])
@pytest.mark.parametrize("steps", [12, 100])  # an answer longer than half a sequence, and than a whole one
def test_beside_a_long_answer_a_long_question_keeps_half_the_sequence(
    name: str, steps: int, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    question = " ".join(f"Unit {number} of a story." for number in range(60)) + " How many?"
    answer = " ".join(f"step {number}" for number in range(steps))
    examples = encode_pairs(tokenizer, [(question, answer)], 128)
    prompt, kept = parts(tokenizer, examples)
    assert len(sequence(examples, 0)) == 128
    assert 48 < examples.prompts[0] <= 64
    assert "How many?" in prompt
    assert prompt.startswith(("Question:", "<|im_start|>user"))
    assert answer.startswith(kept.strip())
    assert tokenizer.eos_token not in kept


def test_beside_a_long_answer_a_short_question_stays_whole(tokenizer: Any) -> None:
    answer = " ".join(f"step {number}" for number in range(100))
    examples = encode_pairs(tokenizer, [("What are the steps?", answer)], 128)
    assert parts(tokenizer, examples)[0] == "Question: What are the steps?\nAnswer:"
    assert len(sequence(examples, 0)) == 128


def test_no_pairs_make_no_examples(tokenizer: Any) -> None:
    assert len(encode_pairs(tokenizer, [], 64)) == 0


class Characters:
    """A tokenizer whose every token is a number above those that Python keeps only once."""

    chat_template, bos_token_id, eos_token_id = None, None, 0

    def __call__(self, texts: Any, **options: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [[1000 + ord(letter) for letter in text] for text in texts]}


@pytest.mark.parametrize("prompts", [[0], [0, 0, 0]])
def test_as_many_sequences_as_prompts_are_asked_for(prompts: list[int]) -> None:
    with pytest.raises(ValueError, match="2 sequences and"):
        from_sequences([[1, 2], [3, 4]], prompts)


def test_tokens_are_held_as_numbers_not_as_objects() -> None:
    pairs = [(f"What is {number} plus 4?", "The sum. " * 8) for number in range(8000)]
    tracemalloc.start()
    try:
        examples = encode_pairs(Characters(), pairs, 256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        peak / len(examples.tokens) < 30
    )  # bytes: twice 8 where they are put together, and a chunk on its way


@given(st.text(), st.text(), st.integers(32, 80))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pair_fits_and_has_a_prompt_and_an_answer(
    tokenizer: Any, question: str, answer: str, longest: int
) -> None:
    examples = encode_pairs(tokenizer, [(question, answer)], longest)
    assert 0 < examples.prompts[0] < examples.lengths[0] <= longest


@given(st.lists(st.integers(1, 90), max_size=300), st.integers(64, 400), st.booleans())
@settings(max_examples=100, deadline=None)
def test_batches_hold_every_example_once_within_the_budget(
    lengths: list[int], budget: int, shuffle: bool
) -> None:
    sizes = np.array(lengths, np.int64)
    batches = plan_batches(sizes, budget, np.random.default_rng(0) if shuffle else None)
    assert sorted(index for rows in batches for index in rows.tolist()) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * sizes[rows].max() <= budget for rows in batches)


def test_batches_differ_between_epochs_and_waste_little_padding() -> None:
    sizes = np.random.default_rng(0).integers(20, 400, 3000)
    generator = np.random.default_rng(1)
    first, second = (plan_batches(sizes, 4096, generator) for _ in range(2))
    assert {tuple(sorted(rows)) for rows in first} != {tuple(sorted(rows)) for rows in second}
    padded = sum(len(rows) * int(sizes[rows].max()) for rows in first)
    assert padded / sizes.sum() < 1.05


def test_padding_fills_the_right_and_bears_no_loss() -> None:
    examples = from_sequences([[5, 6, 7], [8, 9, 10, 11, 12]], [1, 3])
    input_ids, labels = pad(examples, np.array([1, 0]), 0)
    assert input_ids.tolist() == [[8, 9, 10, 11, 12], [5, 6, 7, 0, 0]]
    assert labels.tolist() == [[-100, -100, -100, 11, 12], [-100, 6, 7, -100, -100]]
