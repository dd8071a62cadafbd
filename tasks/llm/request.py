"""What is asked of a model, and what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tasks.corpus.tokens import count_bytes, count_tokens

Facts = dict[str, Any]
MESSAGE_TOKENS = 4  # that a chat template puts around a message, about
_ABSURD = 1 << 50  # tokens
# The bound of an answer's tokens, in requests and their keys; a server may know it by another name (endpoint.py).
MOST_ANSWERED = "max_tokens"


@dataclass(frozen=True)
class Request:
    """A chat completion.

    Args:
        model: its name at the server.
        messages: (role, content) of each.
        parameters: what else goes into the request's body, JSON-serialisable; MOST_ANSWERED always, so that what an answer
            can cost is known before it is asked for.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if MOST_ANSWERED not in self.parameters:
            raise ValueError(f"a request needs a bound of its answer: {MOST_ANSWERED}")

    @cached_property
    def key(self) -> str:
        """What makes it the same request: model, messages and parameters, whoever answers and whatever asks."""
        return hashlib.sha256(json.dumps(self.body(), sort_keys=True).encode()).hexdigest()

    def body(self, bound: str = MOST_ANSWERED) -> Facts:
        """As it is sent to /chat/completions; half a surrogate pair, which UTF-8 cannot hold, as a question mark.

        Args:
            bound: what the server calls MOST_ANSWERED.
        """
        messages = [{"role": role, "content": _sendable(content)} for role, content in self.messages]
        own = {bound if name == MOST_ANSWERED else name: value for name, value in self.parameters.items()}
        return {"model": self.model, "messages": messages, **own}

    @property
    def tokens(self) -> int:
        """Estimate of the tokens that are sent, the schema of the answer among them."""
        return sum(count_tokens(text) + MESSAGE_TOKENS for text in self._texts())

    @property
    def most_tokens(self) -> int:
        """Bound of the tokens that are sent: none is shorter than a byte. Any parameter may be part of the prompt."""
        texts = [*(content for _, content in self.messages), json.dumps(dict(self.parameters))]
        return sum(count_bytes(text) + 4 * MESSAGE_TOKENS for text in texts)

    @property
    def most_answered(self) -> int:
        """Bound of the tokens of the answer, or of all the answers that are asked for."""
        return int(self.parameters[MOST_ANSWERED]) * int(self.parameters.get("n") or 1)

    def _texts(self) -> list[str]:
        texts = [content for _, content in self.messages]
        if "response_format" in self.parameters:
            texts.append(json.dumps(self.parameters["response_format"]))
        return texts


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a reply, as the server counts them.

    Args:
        sent: the prompt's, the cached ones among them.
        cached: of these, what the server had in its prefix cache.
        answered: the completion's.
    """

    sent: int = 0
    cached: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Args:
        text: "" where the model gave none.
        usage: an estimate where the server counts nothing.
        cut: the answer ended at max_tokens.
        paid: by this asking; False out of the store.
    """

    text: str
    usage: Usage
    cut: bool = False
    paid: bool = True


class NotAReply(ValueError):
    """What came back is no chat completion."""


def read_reply(raw: str, request: Request, paid: bool = True) -> Reply:
    """Parse a server's answer, which is kept as it came.

    Raises:
        NotAReply: it is no JSON, or not of that shape.
    """
    try:
        body = json.loads(raw)
        choice = body["choices"][0]
        text = choice["message"].get("content") or ""
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise NotAReply(f"not a chat completion: {raw[:200]!r}") from None
    if not isinstance(text, str):
        raise NotAReply(f"the content of the answer is no text: {raw[:200]!r}")
    return Reply(
        text, _usage(body.get("usage"), request, text), choice.get("finish_reason") == "length", paid
    )


def _usage(found: Any, request: Request, text: str) -> Usage:
    """Servers leave out any of these, and some all of them."""
    usage = found if isinstance(found, dict) else {}
    details = usage.get("prompt_tokens_details")
    sent = _count(usage.get("prompt_tokens"), request.tokens)
    cached = _count(details.get("cached_tokens") if isinstance(details, dict) else None, 0)
    return Usage(sent, min(cached, sent), _count(usage.get("completion_tokens"), count_tokens(text)))


def _count(said: Any, otherwise: int) -> int:
    """A number of tokens, if it can be one: a negative one would give money back."""
    return said if type(said) is int and 0 <= said < _ABSURD else otherwise


def _sendable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
