"""Servers: what their answers mean, how long they want to be left alone, and that the key stays where it belongs."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
import traceback
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks.llm.endpoint
from tasks.llm.endpoint import (
    Passing,
    Server,
    Throttled,
    Unanswerable,
    bound_at,
    key_from,
    retry_after,
)
from tasks.llm.request import Request, read_reply
from tasks.records import BadInput
from tests.llm.fake_server import FakeServer, Faults
from tests.llm.verdicts import request

KEY = "sk-secret-0123456789"
DATE = "Wed, 21 Oct 2015 07:28:00"
AT_DATE = 1445412480.0


def complete(url: str, asked: Request | None = None, key: str = "", timeout: float = 5.0) -> str:
    async def one() -> str:
        server = Server(url, key, timeout=timeout)
        try:
            return await server.complete(asked or request())
        finally:
            await server.close()

    return asyncio.run(one())


def failure(
    status: int,
    body: Any = None,
    headers: dict[str, str] | None = None,
    key: str = "",
    asked: Request | None = None,
) -> Exception:
    """What comes of an answer."""
    with FakeServer() as server:
        raw = (
            body
            if isinstance(body, bytes)
            else json.dumps(body or {"error": {"message": "no\nway"}}).encode()
        )
        server.always = (status, headers or {}, raw)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            complete(server.url, asked, key=key)
    return caught.value


def test_the_body_is_the_request_and_the_header_names_it() -> None:
    asked = request("Is it\none? \U0001f600", temperature=0.5, response_format={"type": "json_object"})
    with FakeServer() as server:
        raw = complete(server.url, asked)
    assert server.bodies == [asked.body()]
    assert list(server.asked) == [asked.key]
    assert read_reply(raw, asked).text


def test_a_server_is_not_told_of_the_machine() -> None:
    with FakeServer() as server:
        complete(server.url, key=KEY)
    (headers,) = server.headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not [name for name in headers if name.startswith("x-stainless")]


def test_connections_are_used_again_and_never_shared() -> None:
    async def many() -> int:
        server = Server(fake.url, connections=4)
        try:
            first = await asyncio.gather(*(server.complete(request(str(n))) for n in range(4)))
            more = [await server.complete(request(str(n))) for n in range(9)]
            waiting = await asyncio.gather(*(server.complete(request(str(n))) for n in range(20, 40)))
        finally:
            await server.close()
        return len(first + more + waiting)

    with FakeServer(latency=0.02) as fake:
        assert asyncio.run(many()) == 33
        assert fake.most_at_once == 4
        assert fake.connections == 4


@pytest.mark.parametrize(
    ("url", "bound"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://own.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://127.0.0.1:8000/v1", "max_tokens"),
        ("", "max_tokens"),  # a batch API's
    ],
)
def test_the_bound_of_an_answer_has_the_name_that_the_server_knows(url: str, bound: str) -> None:
    assert bound_at(url) == bound


def test_a_server_of_newer_models_is_sent_their_name_of_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.llm.endpoint, "_NEWER", ("127.0.0.1",))
    asked = request(answered=7)
    with FakeServer() as server:
        complete(server.url, asked)
    assert server.bodies == [asked.body("max_completion_tokens")]
    assert list(server.asked) == [asked.key]


def test_half_a_surrogate_pair_can_be_sent() -> None:
    with FakeServer() as server:
        complete(server.url, request("a \ud800 b"))
    assert server.bodies[0]["messages"][0]["content"] == "a ? b"


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_no_request_can_mend_is_bad_input_of_one_line(status: int) -> None:
    error = failure(status)
    assert isinstance(error, BadInput)
    assert f"HTTP {status}" in str(error)
    assert "\n" not in str(error)


def test_a_spent_quota_is_not_a_pace() -> None:
    error = failure(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    assert isinstance(error, BadInput)
    assert "quota" in str(error)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 529])
def test_faults_that_pass_are_not_charged(status: int) -> None:
    error = failure(status)
    assert isinstance(error, Passing)
    assert not error.charged


@pytest.mark.parametrize("status", [504, 524])
def test_a_server_behind_a_gateway_may_charge_what_the_gateway_did_not_wait_for(status: int) -> None:
    error = failure(status)
    assert isinstance(error, Passing)
    assert error.charged


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_server_does_not_take_is_unanswerable(status: int) -> None:
    assert isinstance(failure(status), Unanswerable)


def test_a_schema_that_the_server_does_not_take_is_unanswerable_with_any_status() -> None:
    """As llama-cpp-python's server puts it; asked again and again it would seem not to answer at all."""
    said = "1 validation error: {'loc': ('body', 'response_format', 'type'), 'input': 'json_schema'}"
    body = {"error": {"message": said, "type": "internal_server_error", "code": None}}
    asked = request(response_format={"type": "json_schema"})
    assert isinstance(failure(500, body, asked=asked), Unanswerable)
    assert isinstance(failure(500, body), Passing)  # it has no schema
    assert isinstance(failure(500, asked=asked), Passing)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[1]", b'"x"', b'{"error": "x"}', b'{"error": null}']
)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_any_body_of_an_error_is_read(status: int, body: bytes) -> None:
    kinds = {400: Unanswerable, 401: BadInput, 429: Throttled, 500: Passing}
    assert isinstance(failure(status, body), kinds[status])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"Retry-After-Ms": "250"}, 0.25),
        ({"Retry-After-Ms": "250", "Retry-After": "7"}, 0.25),
        ({}, None),
        ({"Retry-After": "soon"}, None),
    ],
)
def test_a_throttled_answer_says_how_long(headers: dict[str, str], seconds: float | None) -> None:
    error = failure(429, headers=headers)
    assert isinstance(error, Throttled)
    assert error.seconds == seconds


def test_retry_after_as_a_date_is_counted_from_now() -> None:
    assert retry_after({"retry-after": f"{DATE} GMT"}, now=AT_DATE - 30) == 30
    assert retry_after({"retry-after": f"{DATE} GMT"}, now=AT_DATE + 30) == 0
    assert retry_after({"retry-after": f"{DATE} +0200"}, now=AT_DATE - 7230) == 30


def test_a_date_without_a_zone_is_gmt_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after({"retry-after": DATE}, now=AT_DATE - 30) == 30
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text() | st.sampled_from([f"{DATE[:12]}99999{DATE[16:]} GMT", "nan", "-inf", "1e999", "-5"]))
def test_any_header_is_a_time_that_is_not_past_or_none(said: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        found = retry_after({name: said}, now=0.0)
        assert found is None or found >= 0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_at_the_address_passes_and_is_not_charged() -> None:
    with pytest.raises(Passing, match="ConnectError") as caught:
        complete(f"http://127.0.0.1:{free_port()}/v1")
    assert not caught.value.charged


def test_an_answer_that_does_not_come_passes_and_may_be_charged() -> None:
    with (
        FakeServer(faults=Faults(hangs=1.0)) as server,
        pytest.raises(Passing, match="ReadTimeout") as caught,
    ):
        complete(server.url, timeout=0.2)
    assert caught.value.charged


def test_a_connection_is_used_again_after_an_answer_that_was_not_waited_for() -> None:
    async def late() -> str:
        server = Server(fake.url, connections=1)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await server.complete(request())
            return await server.complete(request())
        finally:
            await server.close()

    with FakeServer(faults=Faults(hangs=1.0, at_most=1)) as fake:
        assert read_reply(asyncio.run(late()), request()).text
        assert len(fake.asked[request().key]) == 2


@pytest.mark.parametrize(
    ("headers", "body"), [({"Content-Encoding": "gzip"}, b"no gzip"), ({"Content-Length": "9"}, b"{}" * 9)]
)
def test_a_broken_answer_passes_and_may_be_charged(headers: dict[str, str], body: bytes) -> None:
    error = failure(200, body, headers)
    assert isinstance(error, Passing)
    assert error.charged


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000/v1",
        "http:///v1",
        "ftp://x/v1",
        "http://x:99999/v1",
        "http://x:port/v1",
        "http://[x/v1",
    ],
)
def test_what_is_no_address_is_bad_input_before_anything_is_sent(url: str) -> None:
    with pytest.raises(BadInput, match="--llm-url"):
        Server(url)


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(BadInput) as caught:
        Server(f"https://me:{KEY}@example.com/v1")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-\u2026", "sk-a\nb", "sk-a\x00"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(BadInput, match="--llm-key") as caught:
        Server("http://x/v1", key)
    assert key not in "".join(traceback.format_exception(caught.value))


def test_a_line_end_behind_a_key_is_no_part_of_it() -> None:
    with FakeServer() as server:
        assert complete(server.url, key=f"{KEY}\n")


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_the_key_is_in_no_message_traceback_or_log_though_the_server_quotes_it(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        error = failure(status, {"error": {"message": f"bad key {KEY}", "code": KEY}}, key=KEY)
    shown = "".join(traceback.format_exception(error)) + str(error) + repr(error) + caplog.text
    assert status == 429 or "bad key ***" in shown
    assert KEY not in shown


def test_the_key_is_in_no_repr_or_message_of_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(f"http://127.0.0.1:{free_port()}/v1", KEY)
    with caplog.at_level(logging.DEBUG), pytest.raises(Passing) as caught:
        asyncio.run(server.complete(request()))
    assert KEY not in repr(server) + str(server) + repr(caught.value) + caplog.text
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_key_comes_from_the_environment_and_one_that_is_not_set_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.delenv("NO_KEY", raising=False)
    assert key_from("SOME_KEY") == KEY
    assert key_from("NO_KEY") == key_from("") == ""


def test_a_key_comes_from_a_secret_block_and_one_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Prefect has it; a server of its own would take half of the time of all these tests."""
    from prefect.blocks.system import Secret

    def load(name: str) -> Any:
        if name == "llm-key":
            return Secret(value=KEY)
        raise ValueError(f"Unable to find block document named {name} for block type secret\n")

    monkeypatch.setattr(Secret, "load", load)
    assert key_from("block:llm-key") == KEY
    with pytest.raises(BadInput, match="make the Secret block nowhere") as caught:
        key_from("block:nowhere")
    assert "\n" not in str(caught.value)
