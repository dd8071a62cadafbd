from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.llm.store import RequestStore
from tests.train.tiny_models import CHAT, save_model


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    with RequestStore(tmp_path / "s.sqlite") as opened:
        yield opened


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers that has learned nothing, with a chat template."""
    from tasks.train.student import learn_tokenizer
    from tests.llm.verdicts import FORM

    tokenizer = learn_tokenizer([FORM.request(["An oak.", "Some granite."]).messages[1][1]] * 3, 320)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    tokenizer.chat_template = CHAT
    return save_model(tmp_path_factory.mktemp("chat"), tokenizer)
