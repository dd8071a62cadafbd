from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_models import CHAT, TEXTS, save_model

from tasks.train.student import learn_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return learn_tokenizer(TEXTS, 320)


@pytest.fixture(scope="session")
def chat_tokenizer() -> Any:
    tokenizer = learn_tokenizer(TEXTS, 320)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    tokenizer.chat_template = CHAT
    return tokenizer


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    return save_model(tmp_path_factory.mktemp("llama"), tokenizer)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    return save_model(tmp_path_factory.mktemp("gpt2"), tokenizer, "gpt2")
