"""An OpenAI-compatible server that answers at once, late, wrongly or never, always the same way for the same request.

    python -m tests.llm.fake_server --port 0 --latency 0.05 --errors 0.1

In a test it runs in a thread (`with FakeServer() as server`), for a benchmark as a process of its own, which prints its port.
A fault is drawn from the request's key and from how often it was asked before: whatever the order in which requests come, each
meets the same faults. GET /counts says what was asked and answered, and when.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import select
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Body = dict[str, Any]
Content = str | tuple[str, bool]  # with whether it was cut off
_LABELS = ("animal", "plant", "stone")


@dataclass(frozen=True)
class Faults:
    """Which share of the answers is what fault; the rest is well.

    Args:
        errors: HTTP 500.
        throttles: HTTP 429.
        bodies: 200 with a body that is no chat completion.
        contents: 200 with a content that is JSON cut off or prose.
        hangs: no answer until the client or the server closes.
        at_most: tries of a request that can fail, so that each is answered in the end.
        retry_after: headers of a 429.
    """

    errors: float = 0.0
    throttles: float = 0.0
    bodies: float = 0.0
    contents: float = 0.0
    hangs: float = 0.0
    at_most: int = 4
    retry_after: Mapping[str, str] = field(default_factory=lambda: {"Retry-After": "0.05"})

    def draw(self, key: str, attempt: int) -> str:
        """Name of the fault of an attempt (from 0), or ""."""
        if attempt >= self.at_most:
            return ""
        at = share(f"{key}:{attempt}")
        for name in KINDS:
            at -= getattr(self, name)
            if at < 0:
                return name
        return ""


KINDS = [one.name for one in fields(Faults) if one.type == "float"]


def share(text: str) -> float:
    """A number in [0, 1) that the text determines."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6]) / (1 << 48)


def verdict(text: str) -> Body:
    """What the server has to say about a text."""
    return {"label": _LABELS[int(share(text) * 3)], "score": int(share(f"score {text}") * 11)}


def marked(prompt: str) -> dict[int, str]:
    """The texts of a prompt that stand between its marks, by their numbers, as a careful reader finds them."""
    mark = re.search(r"The marks are <(\S+)> and", prompt)
    if not mark:
        return {}
    name = re.escape(mark[1])
    blocks = re.findall(rf'<{name} number="(\d+)">\n(.*?)\n</{name}>', prompt, re.DOTALL)
    return {int(number): text for number, text in blocks}


def judge(body: Body) -> Content:
    """The default answer: a verdict for each marked text, in JSON; without any, one for the whole prompt."""
    prompt = body["messages"][-1]["content"]
    return json.dumps({str(n): verdict(text) for n, text in marked(prompt).items()} or verdict(prompt))


class FakeServer(ThreadingHTTPServer):
    """Args:
    latency: seconds before each answer.
    answer: content of the answer to a request's body.
    faults: see there.
    schemas: kinds of response_format that it takes, and leaves to `answer`; others it refuses with 400.
    usage: "cached" (with cached tokens), "plain", or "none".
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        answer: Callable[[Body], Content] = judge,
        faults: Faults | None = None,
        schemas: Collection[str] = ("json_schema", "json_object"),
        usage: str = "cached",
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.latency, self.answer, self.faults = latency, answer, faults or Faults()
        self.schemas, self.usage = schemas, usage
        # Status, headers and body of every answer, instead of all else.
        self.always: tuple[int, Mapping[str, str], str | bytes] | None = None
        self.asked: dict[str, list[float]] = defaultdict(list)
        self.answered: dict[str, list[float]] = defaultdict(list)
        self.faulty: Counter[str] = Counter()
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []  # of these, by names in lower case
        self.at_once = self.most_at_once = self.connections = 0
        self.arrived, self.closing = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.keep_bodies = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def server_close(self) -> None:
        # Threads of connections that are kept alive wait for the next request for ever; they are daemons.
        socket.socket.close(self.socket)

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is part of the tests."""

    def counts(self) -> Body:
        with self.lock:
            return {"asked": dict(self.asked), "answered": dict(self.answered), "faults": dict(self.faulty)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    server: FakeServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/counts":
            self._send(200, json.dumps(self.server.counts()).encode())
        else:
            self._send(404, b"{}")

    def do_POST(self) -> None:
        server, data = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers.get("Idempotency-Key") or hashlib.sha256(data).hexdigest()
        with server.lock:
            attempt = len(server.asked[key])
            server.asked[key].append(time.time())
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            if server.keep_bodies:
                server.bodies.append(json.loads(data))
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
            fault = server.faults.draw(key, attempt)
            if fault:
                server.faulty[fault] += 1
        server.arrived.set()
        well = False
        try:
            if server.latency:
                time.sleep(server.latency)
            if fault == "hangs":
                self._hang()
            else:
                well = self._answer(json.loads(data), key, fault)
        finally:
            with server.lock:
                server.at_once -= 1
                if well:
                    server.answered[key].append(time.time())

    def _answer(self, body: Body, key: str, fault: str) -> bool:
        """Send an answer. Returns whether it was a good one, sent in full."""
        server = self.server
        if server.always:
            status, headers, raw = server.always
            self._send(status, raw.encode() if isinstance(raw, str) else raw, headers)
            return status == 200
        if self.path != "/v1/chat/completions":
            self._fail(404, "no such path")
        elif not body["messages"]:  # some clients ask so for the headers that tell the limits
            self._fail(400, "there are no messages")
        elif "response_format" in body and (kind := body["response_format"]["type"]) not in server.schemas:
            self._fail(400, f"response_format of type {kind} is not supported")
        elif fault == "errors":
            self._fail(500, "something went wrong")
        elif fault == "throttles":
            self._fail(429, "slow down", server.faults.retry_after)
        elif fault == "bodies":
            self._send(200, [b"<html>busy</html>", b'{"choices": []}', b'{"choices": [{"mes'][len(key) % 3])
        else:
            content = server.answer(body)
            text, cut = content if isinstance(content, tuple) else (content, False)
            if fault == "contents":
                text = (
                    text[: len(text) // 2]
                    if share(key) < 0.5
                    else "Gladly! These are lovely texts, all of them."
                )
            self._send(200, json.dumps(self._completion(body, text, cut)).encode())
            return not fault
        return False

    def _completion(self, body: Body, text: str, cut: bool) -> Body:
        sent = sum(len(message["content"]) for message in body["messages"]) // 4
        answered = len(text) // 4
        usage: Body = {
            "prompt_tokens": sent,
            "completion_tokens": answered,
            "total_tokens": sent + answered,
        }
        if self.server.usage == "cached":
            usage["prompt_tokens_details"] = {"cached_tokens": sent // 2}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "length" if cut else "stop",
                }
            ],
            **({} if self.server.usage == "none" else {"usage": usage}),
        }

    def _fail(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps({"error": {"message": message, "code": None}}).encode(), headers or {})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """In one write: header and body in two would be two packets, and half again as much work."""
        lines = [f"HTTP/1.1 {status} {responses.get(status, 'Odd')}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + body)

    def _hang(self) -> None:
        """Until the client closes the connection, or the server ends."""
        while not self.server.closing.is_set():
            if select.select([self.connection], [], [], 0.1)[0]:
                break
        self.close_connection = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    for name in KINDS:
        parser.add_argument(f"--{name}", type=float, default=0.0)
    given = parser.parse_args()
    faults = Faults(**{name: getattr(given, name) for name in KINDS})
    server = FakeServer(port=given.port, latency=given.latency, faults=faults)
    server.keep_bodies = False
    print(server.server_address[1], flush=True)
    # Whoever started it holds the other end of its input: when that process is gone, so is this one.
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever(0.05)


if __name__ == "__main__":
    main()
