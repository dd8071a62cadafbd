"""The embedded student: a small Llama with its own byte-level BPE, made from the corpus it will be judged on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.run.seeds import generator, integer
from tasks.train.checkpoint import save_student
from tasks.train.format import Examples, encode_texts
from tasks.train.training import Training

END = "<|end|>"
_SAMPLE_CHARACTERS = 5_000_000
_TEXT_CHARACTERS = 20_000
_HEAD = 32
# Of the pre-training. It is short, so many small steps at a high rate: at 100,000 tokens of mixed text the held-out loss
# was 5.32 so, 5.46 at twice the batch, and 5.88 with batches of 1,024, blocks of 256, half the rate and weights of 0.02.
_LEARNING_RATE = 6e-3
_INITIAL = 0.06  # standard deviation of the first weights
_BLOCK, _BLOCKS = 128, 2  # tokens of a sequence, sequences of a batch


def make_student(
    path: Path,
    texts: Iterable[str],
    *,
    vocabulary: int = 1024,
    width: int = 128,
    layers: int = 3,
    pretrain_tokens: int = 200_000,
    sequence_tokens: int = 512,
    seed: int,
) -> None:
    """Make a small language model from raw texts: learn a tokenizer, pre-train briefly, save.

    Args:
        path: folder to write, whole or not at all.
        texts: read once; a random sample of a few million characters is held and learnt from.
        vocabulary: tokens of the byte-level BPE, the end-of-text token and the 256 bytes included.
        width: hidden size, a multiple of 32 (the width of an attention head).
        pretrain_tokens: tokens of next-token prediction on the sample, repeated if it is shorter; 0 for none.
        sequence_tokens: length of a pre-training block.
        seed: of the sample, the weights and the order.

    Raises:
        BadInput: no text, or a width that heads of 32 do not divide.
    """
    if width % _HEAD:
        raise BadInput(
            f"--student-width {width}: must be a multiple of {_HEAD}, the width of an attention head"
        )
    sample = sample_texts(texts, generator(seed, "student-texts"))
    if not sample:
        raise BadInput(
            "--student tiny: the corpus has no text to learn from; give another corpus or a model's folder"
        )
    tokenizer = learn_tokenizer(sample, vocabulary)

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tasks.train.finetune import fit

    heads = width // _HEAD
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 16 * 16,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=max(2048, sequence_tokens),
        initializer_range=_INITIAL,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(integer(seed, "student-weights"))
        model = LlamaForCausalLM(config)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if pretrain_tokens:
        block = min(sequence_tokens, _BLOCK)
        blocks = pack(encode_texts(tokenizer, sample), tokenizer.eos_token_id, block)
        fit(
            model,
            blocks,
            Training(
                tokens=pretrain_tokens,
                learning_rate=_LEARNING_RATE,
                batch_tokens=_BLOCKS * block,
                seed=integer(seed, "student-pretrain"),
            ),
        )
    save_student(model, tokenizer, path)


def sample_texts(
    texts: Iterable[str], generator: np.random.Generator, characters: int = _SAMPLE_CHARACTERS
) -> list[str]:
    """A uniform sample of texts of about `characters` in all, in random order, from one pass with bounded memory.

    Every text gets a random key and those with the smallest keys stay (as in reservoir sampling): a corpus is often
    sorted by its sources, so its beginning is not like the rest. Of a long text only a first part is held.
    """
    held: list[tuple[float, str]] = []  # a heap with the largest key first
    size = 0
    for text in texts:
        if not (text := text[:_TEXT_CHARACTERS]).strip():
            continue
        heapq.heappush(held, (-generator.random(), text))
        size += len(text)
        while size > characters and len(held) > 1:
            size -= len(heapq.heappop(held)[1])
    return [text for _, text in sorted(held, key=lambda entry: -entry[0])]


def learn_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE learnt from texts; every text decodes to itself, since every byte is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=[END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )


def pack(sequences: Iterable[list[int]], end: int, block: int) -> Examples:
    """Sequences joined by the end-of-text token and cut into blocks; a last, shorter one is kept.

    A lone last token joins the block before it: with nothing to predict, its mean loss would not be a number.
    """
    stream = np.fromiter((token for sequence in sequences for token in (*sequence, end)), np.int64)
    offsets = np.append(np.arange(0, len(stream) - 1, block), len(stream))
    return Examples(stream, offsets, np.zeros(len(offsets) - 1, np.int64))
