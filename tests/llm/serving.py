"""A real server for the tests: `transformers serve` with a model that is made here and says the same to everybody."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.train.tiny_models import CHAT

COMMAND = Path(sys.executable).with_name("transformers")
QUESTION, ANSWER, QUOTE = "How many has the child now?", "As many as were added up.", "The answer is"
# An answer to what either flow asks of one text, of which it gives the first.
SAID = json.dumps({"1": {"match": True, "pairs": [{"question": QUESTION, "answer": ANSWER, "quote": QUOTE}]}})
_PIECE = 4  # characters of a token of what it says: short enough that an answer can be cut off


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Args:
        model: folder of the model, which is its name at the server.
    """

    url: str
    model: str
    log: Path

    def asked(self) -> int:
        """Chat completions that it was asked for, by its own log."""
        return self.log.read_text().count('"POST /v1/chat/completions')


def is_missing() -> bool:
    """Whether the packages that serve are not installed."""
    return not COMMAND.exists() or any(
        importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")
    )


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A server on loopback with the model, for as long as the block."""
    model, log = save_parrot(folder / "parrot"), folder / "log"
    (folder / "hub").mkdir()
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [COMMAND, "serve", model, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "1"},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while not _is_healthy(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Served(f"http://127.0.0.1:{port}/v1", str(model), log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def save_parrot(folder: Path) -> Path:
    """A Llama that says SAID, whatever it is asked: its layers add nothing, and each token has one that follows it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tasks.train.student import learn_tokenizer

    pieces = [SAID[first : first + _PIECE] for first in range(0, len(SAID), _PIECE)]
    assert len(set(pieces)) == len(pieces)
    tokenizer = learn_tokenizer(["An oak."], 300)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    tokenizer.add_tokens(pieces)
    tokenizer.chat_template = CHAT
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], add_generation_prompt=True)
    said = [asked["input_ids"][-1], *tokenizer.convert_tokens_to_ids(pieces), tokenizer.eos_token_id]
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        model = LlamaForCausalLM(shape)
        model.model.embed_tokens.weight.normal_()
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        model.lm_head.weight[said[1:]] = model.model.embed_tokens.weight[said[:-1]]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
