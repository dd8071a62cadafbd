"""What is asked of a model, and what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tasks.corpus.tokens import count_tokens

Facts = dict[str, Any]
MESSAGE_TOKENS = 4  # that a chat template puts around a message, about
MOST_ANSWERED = ("max_tokens", "max_completion_tokens")  # whichever the server knows


@dataclass(frozen=True)
class Request:
    """A chat completion.

    Args:
        model: its name at the server.
        messages: (role, content) of each.
        parameters: what else goes into the request's body, JSON-serialisable; one of MOST_ANSWERED always, so that what
            an answer can cost is known before it is asked for.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """What makes it the same request: model, messages and parameters, whoever answers and whatever asks."""
        return hashlib.sha256(
            json.dumps(self.body(), sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
        ).hexdigest()

    def body(self) -> Facts:
        """As it is sent to /chat/completions."""
        messages = [{"role": role, "content": content} for role, content in self.messages]
        return {"model": self.model, "messages": messages, **self.parameters}

    @property
    def tokens(self) -> int:
        """Estimate of the tokens that are sent, the schema of the answer among them."""
        return sum(count_tokens(text) + MESSAGE_TOKENS for text in self._texts())

    @property
    def most_tokens(self) -> int:
        """Bound of the tokens that are sent: none is shorter than a byte."""
        return sum(len(text.encode("utf-8", "surrogatepass")) + 4 * MESSAGE_TOKENS for text in self._texts())

    @property
    def most_answered(self) -> int:
        """Bound of the tokens of the answer."""
        return int(next(self.parameters[name] for name in MOST_ANSWERED if name in self.parameters))

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
    except (ValueError, LookupError, TypeError, AttributeError):
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
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    sent, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(
        sent=sent if isinstance(sent, int) else request.tokens,
        cached=cached if isinstance(cached, int) else 0,
        answered=answered if isinstance(answered, int) else count_tokens(text),
    )
