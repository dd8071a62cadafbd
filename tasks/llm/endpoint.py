"""Who answers a request. A server is spoken to through the openai SDK, whose own re-asking is off: ours is counted."""

from __future__ import annotations

import email.utils
import math
import os
import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from tasks.llm.request import MOST_ANSWERED, Request
from tasks.records import BadInput

NO_KEY = "none"  # the SDK wants a key, a server of one's own does not
_REFUSED = {
    401: "the key is refused",
    402: "the account has no money left",
    403: "the key may not use it",
    404: "there is no such model or path",
}
NEWER_BOUND = "max_completion_tokens"  # MOST_ANSWERED of servers whose newer models know no other name
_NEWER = ("api.openai.com", "openai.azure.com")
_TELLS_OF_US = "x-stainless-"
_TOLD_OF_A_TRY = ("x-stainless-retry-count", "x-stainless-read-timeout")
PASSING = (408, 409, 425, 429)  # of those below 500
_GATEWAY_GAVE_UP = (504, 524)  # on a server behind it, which may be at work all the same
_ABOUT_SCHEMAS = ("response_format", "json_schema", "guided", "structured")


class Endpoint(Protocol):
    """Answers chat completions."""

    @property
    def name(self) -> str:
        """Whose limits it is under: its address, or the model's path."""

    @property
    def at_once(self) -> int:
        """Requests that it answers at the same time; more would wait inside, and run out of time there."""

    async def complete(self, request: Request) -> str:
        """The answer's body, JSON as an OpenAI-compatible server sends it.

        Raises:
            Throttled, Passing, Unanswerable: see there.
            BadInput: no request will ever be answered: the key, the address or the model is wrong.
        """

    async def close(self) -> None:
        """Let go of connections or of the model."""


class Throttled(Exception):
    """Too many requests.

    Args:
        seconds: to wait, as the server says; None where it does not.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


class Passing(Exception):
    """A fault that may be gone at the next try: a lost connection, a time-out, an overloaded server.

    Args:
        charged: whether the server may have done, and charge, its work all the same.
    """

    def __init__(self, reason: str, charged: bool = False) -> None:
        super().__init__(reason)
        self.charged = charged


class Unanswerable(Exception):
    """This request will never be answered as it is: too long, or with parameters the server does not take."""


class Server:
    """An OpenAI-compatible server.

    Args:
        url: base URL, as http://127.0.0.1:8000/v1.
        key: the API key; "" for none.
        timeout: seconds after which a request counts as lost.
        connections: at most open at once.

    Raises:
        BadInput: the address or the key can never be one.
    """

    def __init__(self, url: str, key: str = "", *, timeout: float = 120.0, connections: int = 32) -> None:
        from openai import AsyncOpenAI, Omit

        from tasks.llm.connections import Apart

        self.name, self.at_once = checked_address(url), connections
        self._bound = bound_at(url)
        self._path = (
            f"{self.name}/chat/completions"  # whole, so that the SDK need not put it together each time
        )
        self._key = key.strip()  # as files and blocks hold them, with a line end
        if not (self._key.isascii() and self._key.isprintable()):
            raise BadInput("--llm-key: the key holds characters that no key has; copy it again")
        self._client = AsyncOpenAI(
            base_url=self.name,
            api_key=self._key or NO_KEY,
            max_retries=0,
            timeout=timeout,
            http_client=Apart(connections, timeout=timeout, follow_redirects=True, verify=_authorities()),
        )

        # The SDK would tell each server which system, processor and Python this is; no answer needs it, and making so many
        # headers takes a twelfth of a request's time here.
        told = [name for name in self._client.default_headers if name.lower().startswith(_TELLS_OF_US)]
        self._untold = {name: Omit() for name in (*told, *_TOLD_OF_A_TRY)}

    async def complete(self, request: Request) -> str:
        import httpx2
        import openai

        # A server that knows the header answers a repeated request without doing, or charging, its work again.
        headers: dict[str, Any] = {"Idempotency-Key": request.key, **self._untold}
        try:
            # Not chat.completions.create: what it does to bring body and answer into its types takes half of all the
            # time that a request takes here, and the body is what was hashed, the answer kept as it came.
            answer = await self._client.post(
                self._path,
                cast_to=httpx2.Response,
                body=request.body(self._bound),
                options={"headers": headers},
            )
            return answer.text
        except openai.APIStatusError as error:
            raise _fault(error, self.name, self._without_key(str(error.message)), request) from None
        except openai.APIConnectionError as error:  # among them time-outs
            cause = error.__cause__ or error
            unsent = isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
            reason = f"{type(cause).__name__}: {self._without_key(str(cause))}".rstrip(": ")
            raise Passing(reason, charged=not unsent) from None
        except UnicodeDecodeError:
            raise Passing("the answer is not text", charged=True) from None

    async def close(self) -> None:
        await self._client.close()

    def _without_key(self, text: str) -> str:
        """Some servers quote the key that they refuse."""
        return text.replace(self._key, "***") if self._key else text


@cache
def _authorities() -> ssl.SSLContext:
    """Read once: it takes as long as twenty requests, and each stage of a run has a client of its own."""
    import httpx2

    return httpx2.create_ssl_context()


def checked_address(url: str) -> str:
    """A base URL without its last slash.

    Raises:
        BadInput: it is none, or holds a user or a password.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise BadInput(
            f"--llm-url {url}: not an address; give one with http:// or https://, as http://127.0.0.1:8000/v1"
        )
    if "@" in parts.netloc:
        raise BadInput(
            "--llm-url: it holds a user or a password, which would be shown and kept; give the key by --llm-key"
        )
    return url.rstrip("/")


def bound_at(url: str) -> str:
    """What the server at an address calls the bound of an answer's tokens; without one, what most servers do."""
    return NEWER_BOUND if (urlsplit(url).hostname or "").endswith(_NEWER) else MOST_ANSWERED


def key_from(source: str) -> str:
    """The API key out of the environment, or out of a Prefect Secret block.

    Args:
        source: name of an environment variable, or block:NAME; "" for no key.

    Raises:
        BadInput: there is no such block, or it is no secret. An environment variable that is not set is no key.
    """
    if not source.startswith("block:"):
        return os.environ.get(source, "") if source else ""
    from prefect.blocks.system import Secret

    name = source.removeprefix("block:")
    try:
        secret = Secret.load(name)
        return str(secret.get())  # type: ignore[union-attr]
    except ValueError as error:
        line = " ".join(str(error).split())
        raise BadInput(f"--llm-key {source}: {line}; make the Secret block {name} in Prefect") from None


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a server asks to be left alone: retry-after-ms, or Retry-After as seconds or as a date."""
    if (value := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, value / 1000)
    said = headers.get("retry-after")
    if (value := _number(said)) is not None:
        return max(0.0, value)
    try:
        date = email.utils.parsedate_tz(said) if said else None
        then = None if date is None else email.utils.mktime_tz((*date[:9], date[9] or 0))  # always GMT
    except (ValueError, OverflowError):
        return None
    return None if then is None else max(0.0, then - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return None if math.isnan(value) else value


def is_about_schemas(reason: str) -> bool:
    """Whether a request was refused for its schema, by what the server says."""
    return any(word in reason for word in _ABOUT_SCHEMAS)


def _fault(error: Any, where: str, message: str, request: Request) -> Exception:
    """What an openai.APIStatusError means for the request, and for all others."""
    status, message = error.status_code, " ".join(message.split())[:300]
    if status in _REFUSED:
        return BadInput(f"--llm-url {where}: {_REFUSED[status]} (HTTP {status}: {message})")
    if status == 429 and error.code == "insufficient_quota":
        return BadInput(f"--llm-url {where}: the account's quota is spent (HTTP 429: {message})")
    if status == 429:
        return Throttled(retry_after(error.response.headers))
    # llama-cpp-python's server says 500 of a parameter that it does not know.
    refused = "response_format" in request.parameters and is_about_schemas(message)
    if status in PASSING or (status >= 500 and not refused):
        return Passing(f"HTTP {status}: {message}", charged=status in _GATEWAY_GAVE_UP)
    return Unanswerable(f"HTTP {status}: {message}")
