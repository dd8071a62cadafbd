"""Causal language models of a few thousand weights, in float64 where they are compared with an exact computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tasks.train.format import Examples, from_sequences

VOCABULARY = 40


def make_model(kind: str = "llama", seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    """A Llama (separate q, k, v, o), a GPT-2 (Conv1D, fused qkv), a GPT-NeoX (Linear, fused qkv) or an OPT (MLP on (b * t, i)).

    Weights are random.
    """
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
        OPTConfig,
        OPTForCausalLM,
    )

    shared: dict[str, Any] = {"vocab_size": VOCABULARY, "initializer_range": 0.2}
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "gpt2":
            model: Any = GPT2LMHeadModel(
                GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, eos_token_id=0, **shared)
            )
        elif kind == "neox":
            model = GPTNeoXForCausalLM(GPTNeoXConfig(intermediate_size=24, eos_token_id=0, **sizes, **shared))
        elif kind == "opt":
            model = OPTForCausalLM(
                OPTConfig(vocab_size=VOCABULARY, init_std=0.2, word_embed_proj_dim=16, ffn_dim=24, **sizes)
            )
        else:
            model = LlamaForCausalLM(
                LlamaConfig(
                    intermediate_size=24,
                    eos_token_id=0,
                    bos_token_id=None,
                    tie_word_embeddings=True,
                    **sizes,
                    **shared,
                )
            )
    return model.to(dtype).eval()


def make_examples(
    count: int, seed: int, shortest: int = 3, longest: int = 14, prompts: bool = False
) -> Examples:
    """Random sequences of different lengths; with `prompts` the first third of each bears no loss."""
    random = np.random.default_rng(seed)
    sequences = [
        random.integers(1, VOCABULARY, size=random.integers(shortest, longest + 1)) for _ in range(count)
    ]
    return from_sequences(sequences, [len(one) // 3 if prompts else 0 for one in sequences])
