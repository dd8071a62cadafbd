"""How question-answer pairs become tokens, and tokens become batches. Only NumPy: no model is needed for either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORED = -100  # the label that cross entropy leaves out
_CHUNK = 1024  # texts given to the tokenizer at once
_WINDOW = 32  # batches' worth of shuffled examples that are sorted by length together

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Token sequences laid end to end.

    Args:
        tokens: int64 (total,), the sequences one after the other.
        offsets: int64 (n + 1,); sequence i is tokens[offsets[i]:offsets[i + 1]].
        prompts: int64 (n,), how many tokens at the start of each sequence bear no loss.
    """

    tokens: Ints
    offsets: Ints
    prompts: Ints

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def lengths(self) -> Ints:
        return np.diff(self.offsets)

    @property
    def loss_lengths(self) -> Ints:
        """Tokens of each sequence that bear loss: none of its prompt, and not its first, which nothing foretells."""
        return np.maximum(self.lengths - np.maximum(self.prompts, 1), 0)


def from_sequences(sequences: Sequence[Sequence[int] | Ints], prompts: Sequence[int]) -> Examples:
    """Examples from lists of token ids and the number of prompt tokens in each.

    Raises:
        ValueError: there are not as many of either.
    """
    if len(sequences) != len(prompts):
        raise ValueError(f"{len(sequences)} sequences and {len(prompts)} counts of prompt tokens")
    lengths = np.fromiter((len(sequence) for sequence in sequences), np.int64, len(sequences))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    tokens = np.concatenate([np.zeros(0, np.int64), *(np.asarray(one, np.int64) for one in sequences)])
    return Examples(tokens, offsets, np.asarray(prompts, np.int64))


def concatenated(parts: Sequence[Examples]) -> Examples:
    """The examples of all parts, in order; of one part at least."""
    tokens, lengths, prompts = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("tokens", "lengths", "prompts")
    )
    return Examples(tokens, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), prompts)


def taken(examples: Examples, rows: Ints) -> Examples:
    """Those of some rows, in the order of the rows."""
    spans = [examples.tokens[examples.offsets[row] : examples.offsets[row + 1]] for row in rows]
    return from_sequences(spans, examples.prompts[rows].tolist())


def encode_pairs(tokenizer: Any, pairs: Sequence[tuple[str, str]], sequence_tokens: int) -> Examples:
    """Pairs as token sequences: the question is the prompt; the answer and the end-of-text token bear the loss.

    With a chat template the pair is a user's and an assistant's turn; otherwise "Question: ...\\nAnswer: ...". Texts
    are untrusted: a special token spelt out in one is encoded as ordinary characters.

    Too long a pair loses the start of its question, so that the whole answer stays. Beside an answer of more than half
    a sequence the prompt keeps up to half, and the answer loses its end (and with it the end-of-text token): an answer
    without its question teaches nothing about answering.

    Args:
        tokenizer: a transformers tokenizer with an end-of-text token.
        pairs: (question, answer).
        sequence_tokens: longest sequence, tokens.

    Returns:
        Examples, one per pair, in order.
    """
    sequences: list[Ints] = []  # arrays, because a list's integers take four times the memory
    prompts: list[int] = []
    for first in range(0, len(pairs), _CHUNK):
        chunk = pairs[first : first + _CHUNK]
        for pair, prompt, answer in zip(chunk, *_encode(tokenizer, chunk), strict=True):
            if len(prompt) + len(answer) > sequence_tokens:
                prompt, answer = _shorten(tokenizer, pair, prompt, answer, sequence_tokens)
            sequences.append(np.array(prompt + answer, np.int64))
            prompts.append(len(prompt))
    return from_sequences(sequences, prompts)


def encode_texts(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, no special token added and none recognised."""
    if not texts:
        return []
    encoded: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
    )["input_ids"]
    return encoded


def _encode(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> tuple[list[list[int]], list[list[int]]]:
    """Prompts and answers of pairs as token ids, at their full length."""
    end = tokenizer.eos_token_id
    if not tokenizer.chat_template:
        # The space goes to the answer, where tokenizers keep it: " 42" is one token, as it was in pre-training.
        first = tokenizer("")["input_ids"][:1]
        begin = first if first == [tokenizer.bos_token_id] else []
        prompts = encode_texts(tokenizer, [f"Question: {question}\nAnswer:" for question, _ in pairs])
        answers = encode_texts(tokenizer, [f" {answer}" for _, answer in pairs])
        return [begin + prompt for prompt in prompts], [[*answer, end] for answer in answers]

    questions = [[{"role": "user", "content": question}] for question, _ in pairs]
    turns = [
        [*question, {"role": "assistant", "content": answer}]
        for question, (_, answer) in zip(questions, pairs, strict=True)
    ]
    # sanitize_control_tokens: the template's own control tokens count, those inside a text do not.
    prompts = tokenizer.apply_chat_template(
        questions,
        add_generation_prompt=True,
        sanitize_control_tokens=True,
        tokenizer_kwargs={"verbose": False},
    )["input_ids"]
    wholes = tokenizer.apply_chat_template(
        turns, sanitize_control_tokens=True, tokenizer_kwargs={"verbose": False}
    )["input_ids"]
    answers = []
    for (_, text), prompt, whole in zip(pairs, prompts, wholes, strict=True):
        answer = whole[len(prompt) :]
        if whole[: len(prompt)] != prompt:
            # The template opens an assistant's turn (with a thought, say) otherwise than it writes a past one.
            answer = encode_texts(tokenizer, [text])[0]
        if end in answer:
            answer = answer[: len(answer) - answer[::-1].index(end) - 1]  # templates write a newline after it
        answers.append([*answer, end])
    return prompts, answers


def _shorten(
    tokenizer: Any, pair: tuple[str, str], prompt: list[int], answer: list[int], sequence_tokens: int
) -> tuple[list[int], list[int]]:
    """Prompt and answer that fit together, by the rule of `encode_pairs`."""
    question = pair[0]
    room = max(sequence_tokens // 2, sequence_tokens - len(answer))  # for the prompt
    while question and len(prompt) > room:
        kept = encode_texts(tokenizer, [question])[0][len(prompt) - room :]
        # A character cut in the middle decodes to replacement characters at the start. The text gets shorter at every
        # turn, though tokens may grow where it is cut, hence the loop.
        shorter = tokenizer.decode(kept).lstrip("\ufffd")
        question = shorter if len(shorter) < len(question) else question[1:]
        prompt = _encode(tokenizer, [(question, pair[1])])[0][0]
    prompt = prompt[-room:]  # a template that is too long by itself
    return prompt, answer[: sequence_tokens - len(prompt)]


def plan_batches(
    lengths: Ints, batch_tokens: int, generator: np.random.Generator | None = None
) -> list[Ints]:
    """Groups of examples of like length whose padded size stays within a number of tokens.

    Args:
        lengths: int64 (n,), tokens of each example.
        batch_tokens: rows times the longest row, at most; a longer example is a batch of its own.
        generator: shuffles; examples are then sorted within windows of a few dozen batches, so that batches differ
            from one epoch to the next, and the batches come in random order. Without one, all are sorted.

    Returns:
        Index arrays that together hold every example once.
    """
    count = len(lengths)
    order = np.arange(count) if generator is None else generator.permutation(count)
    # The window's number of each example, by the tokens that stand before it in the shuffled order.
    before = np.cumsum(lengths[order]) - lengths[order]
    window = before // (batch_tokens * _WINDOW) if generator is not None else np.zeros(count, np.int64)
    by_length = np.lexsort((lengths[order], window))
    order, window = order[by_length], window[by_length]

    batches: list[Ints] = []
    begin = 0
    for position in range(count):
        longest = max(int(lengths[order[position]]), 1)
        full = (position - begin + 1) * longest > batch_tokens
        if position > begin and (full or window[position] != window[begin]):
            batches.append(order[begin:position])
            begin = position
    if count:
        batches.append(order[begin:])
    if generator is not None:
        batches = [batches[index] for index in generator.permutation(len(batches))]
    return batches


def pad(examples: Examples, rows: Ints, padding: int) -> tuple[Ints, Ints]:
    """A batch as rectangles, padded on the right.

    With causal attention a token never sees what stands to its right, so padding there needs no attention mask.

    Args:
        rows: int64 (b,), which examples.
        padding: token id that fills the rows.

    Returns:
        input_ids and labels, int64 (b, longest); labels are IGNORED on the prompt and the padding.
    """
    lengths = examples.lengths[rows]
    columns = np.arange(lengths.max())
    real = columns < lengths[:, None]
    at = np.where(real, examples.offsets[rows][:, None] + columns, 0)
    input_ids = np.where(real, examples.tokens[at], padding)
    labels = np.where(real & (columns >= examples.prompts[rows][:, None]), input_ids, IGNORED)
    return input_ids, labels
