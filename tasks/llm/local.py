"""A causal language model of this machine as an endpoint, for a machine without a server: by path, or by name on a hub."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

from tasks.llm.endpoint import Unanswerable
from tasks.llm.request import Request
from tasks.records import BadInput
from tasks.run import hub
from tasks.train.checkpoint import load_student


def check_local(name: str) -> None:
    """Whether there is such a model, without loading it.

    Raises:
        BadInput: it is neither the folder of a model nor a name on the hub.
    """
    subject, path = f"--model {name}", Path(name).expanduser()
    if path.exists():
        if not (path / "config.json").is_file():
            raise BadInput(f"{subject}: no config.json in it; give the folder of a saved model, or --llm-url")
    elif hub.is_name(name):
        hub.check_model(name, subject, "the folder of a saved model, or --llm-url for a server's")
    else:
        raise BadInput(f"{subject}: no such folder, and not a model's name; give one, or --llm-url")


class LocalModel:
    """A model in this process, on its GPU if there is one. It answers one request at a time, and knows no schemas.

    Args:
        name: folder, or name on a hub; weights in safetensors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._loaded: tuple[Any, Any] | None = None
        self._turn = threading.Lock()  # of threads: the model outlives an event loop

    async def complete(self, request: Request) -> str:
        return await asyncio.to_thread(self._answer, request)

    async def close(self) -> None:
        self._loaded = None

    def _answer(self, request: Request) -> str:
        with self._turn:
            return self._generate(request)

    def _generate(self, request: Request) -> str:
        import torch

        if self._loaded is None:
            try:
                self._loaded = load_student(self.name)
            except BadInput as error:
                raise BadInput(str(error).replace("--student", "--model")) from None
        model, tokenizer = self._loaded
        prompt = torch.tensor([_prompt(tokenizer, request.messages)], device=model.device)
        room = int(getattr(model.config, "max_position_embeddings", 1 << 30)) - prompt.shape[1]
        if room < 1:
            raise Unanswerable(f"{prompt.shape[1]:,} tokens are more than the model reads")
        temperature = float(request.parameters.get("temperature") or 0.0)
        torch.manual_seed(int(request.key[:8], 16))
        with torch.inference_mode():
            output = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=min(request.most_answered, room),
                do_sample=temperature > 0,
                temperature=temperature or None,
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
            )
        answer = output[0, prompt.shape[1] :]
        ended = len(answer) > 0 and int(answer[-1]) == tokenizer.eos_token_id
        usage = {"prompt_tokens": prompt.shape[1], "completion_tokens": len(answer)}
        message = {"role": "assistant", "content": tokenizer.decode(answer, skip_special_tokens=True)}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if ended else "length"}
        return json.dumps({"model": self.name, "choices": [choice], "usage": usage}, ensure_ascii=False)


def _prompt(tokenizer: Any, messages: tuple[tuple[str, str], ...]) -> list[int]:
    """Tokens of the messages by the model's chat template; a model that has none reads them one after the other."""
    if tokenizer.chat_template:
        chat = [{"role": role, "content": content} for role, content in messages]
        encoded = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])
    text = "\n\n".join(content for _, content in messages) + "\n\n"
    return list(tokenizer(text)["input_ids"])
