"""Models small enough to train in a test, made here: a Llama and a GPT-2 that share a byte-level BPE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SUMS = [(f"What is {a} plus {b}?", f"The sum is {a + b}.") for a in range(3, 9) for b in range(11, 15)]
TEXTS = [f"{question} {answer}" for question, answer in SUMS] * 3

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_model(folder: Path, tokenizer: Any, kind: str = "llama", seed: int = 7) -> Path:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "gpt2":
            model: Any = GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=256, eos_token_id=0
                )
            )
        else:
            model = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=len(tokenizer),
                    hidden_size=32,
                    intermediate_size=64,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    initializer_range=0.1,
                    max_position_embeddings=4096,
                    bos_token_id=None,
                    eos_token_id=tokenizer.eos_token_id,
                    tie_word_embeddings=True,
                )
            )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
