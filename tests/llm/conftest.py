from __future__ import annotations

from pathlib import Path

import pytest

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers that has learned nothing, with a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tasks.train.student import learn_tokenizer
    from tests.llm.verdicts import FORM

    tokenizer = learn_tokenizer([FORM.request(["An oak.", "Some granite."]).messages[1][1]] * 3, 320)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    tokenizer.chat_template = CHAT
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=4096,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    folder = tmp_path_factory.mktemp("chat")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
