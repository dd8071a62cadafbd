"""A causal language model of this machine as an endpoint, for a machine without a server: by path, or by name on a hub."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

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

    The special tokens of its chat template are broken up where a message holds them: a text that could write them would
    speak as the system.

    Args:
        name: folder, or name on a hub; weights in safetensors.
    """

    at_once = 1

    def __init__(self, name: str) -> None:
        self.name = name
        self._loaded: tuple[Any, Any] | None = None
        self._turn = threading.Lock()  # of threads: the model outlives an event loop

    async def complete(self, request: Request) -> str:
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(self._answer, request, given_up)
        finally:
            given_up.set()  # a thread is not cancelled: it would write to the end what nobody waits for

    async def close(self) -> None:
        self._loaded = None

    def _answer(self, request: Request, given_up: threading.Event) -> str:
        with self._turn:
            return self._generate(request, given_up)

    def _generate(self, request: Request, given_up: threading.Event) -> str:
        import torch

        if self._loaded is None:
            try:
                self._loaded = load_student(self.name)
            except BadInput as error:
                raise BadInput(str(error).replace("--student", "--model")) from None
            # Nothing is trained here, and half the bytes are read in half the time.
            if torch.cuda.is_available():
                self._loaded[0].to(torch.bfloat16)
        model, tokenizer = self._loaded
        prompt = torch.tensor([_prompt(tokenizer, request.messages)], device=model.device)
        room = int(getattr(model.config, "max_position_embeddings", 1 << 30)) - prompt.shape[1]
        if room < 1:
            raise Unanswerable(f"{prompt.shape[1]:,} tokens are more than the model reads")
        temperature = float(request.parameters.get("temperature") or 0.0)
        ends = _ends(model, tokenizer)
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(int(request.key[:8], 16))
            output = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=min(request.most_answered, room),
                do_sample=temperature > 0,
                temperature=temperature or None,
                eos_token_id=ends or None,
                pad_token_id=tokenizer.eos_token_id
                if tokenizer.pad_token_id is None
                else tokenizer.pad_token_id,
                stopping_criteria=[
                    lambda tokens, _: torch.full(tokens.shape[:1], given_up.is_set(), device=tokens.device)
                ],
            )
        answer = output[0, prompt.shape[1] :]
        ended = len(answer) > 0 and int(answer[-1]) in ends
        usage = {"prompt_tokens": prompt.shape[1], "completion_tokens": len(answer)}
        message = {"role": "assistant", "content": tokenizer.decode(answer, skip_special_tokens=True)}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if ended else "length"}
        return json.dumps({"model": self.name, "choices": [choice], "usage": usage}, ensure_ascii=False)


def _prompt(tokenizer: Any, messages: tuple[tuple[str, str], ...]) -> list[int]:
    """Tokens of the messages by the model's chat template; a model that has none reads them one after the other."""
    special = _special(tokenizer)
    chat = [{"role": role, "content": _broken_up(content, special)} for role, content in messages]
    if tokenizer.chat_template:
        try:
            encoded = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        except TemplateError:  # of a model that knows no system: the user says it
            said = "\n\n".join(message["content"] for message in chat)
            chat = [{"role": "user", "content": said}]
            encoded = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])
    text = "\n\n".join(message["content"] for message in chat) + "\n\n"
    return list(tokenizer(text)["input_ids"])


def _special(tokenizer: Any) -> list[str]:
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return [token for token in {*added, *tokenizer.all_special_tokens} if len(token) > 2]


def _broken_up(content: str, special: list[str]) -> str:
    if not special:
        return content
    longest_first = sorted(special, key=len, reverse=True)
    pattern = "|".join(map(re.escape, longest_first))
    return re.sub(pattern, lambda found: f"{found[0][0]} {found[0][1:]}", content)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end an answer: the tokenizer's, and those of the model, which may be others and several."""
    said = model.generation_config.eos_token_id
    ends = said if isinstance(said, list) else [said]
    return sorted({int(end) for end in (*ends, tokenizer.eos_token_id) if end is not None})
