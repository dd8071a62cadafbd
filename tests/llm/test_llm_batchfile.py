"""Requests for a batch API, and its results into the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.llm.batchfile import Asked, Results, read_requests, read_results, write_requests
from tasks.llm.request import Request, read_reply
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tests.llm.verdicts import DOLLAR, request

REQUESTS = [request(text) for text in ("one", "two\u2028 with \x85 and \x0b", "three \ud800", "four")]
ASKED = {request.key: Asked(request, "batch", DOLLAR) for request in REQUESTS}
BODY = {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    with RequestStore(tmp_path / "s.sqlite") as opened:
        yield opened


def line(asked: Request, body: Any = BODY, status: int = 200, error: Any = None, ascii: bool = True) -> str:
    response = {"status_code": status, "body": body}
    facts = {"id": "x", "custom_id": asked.key, "response": response, "error": error}
    return json.dumps(facts, ensure_ascii=ascii)


def read(store: RequestStore, *lines: str, end: str = "\n", payer: str = "run") -> Results:
    path = store.path.with_name("results.jsonl")
    path.write_bytes("".join(one + end for one in lines).encode())
    return read_results(path, ASKED, store, payer=payer)


def test_each_request_is_written_once_as_it_would_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    assert write_requests(path, [*REQUESTS, *REQUESTS]) == 4
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").split("\n") if text]
    assert [one["custom_id"] for one in lines] == [asked.key for asked in REQUESTS]
    assert [one["body"] for one in lines] == [asked.body() for asked in REQUESTS]
    assert {(one["method"], one["url"]) for one in lines} == {("POST", "/v1/chat/completions")}


def test_requests_with_the_newer_name_of_the_bound_are_the_same_requests(tmp_path: Path) -> None:
    """A continued run may go to another address, which knows the other name."""
    path = tmp_path / "requests.jsonl"
    write_requests(path, REQUESTS[:1], "max_completion_tokens")
    body = json.loads(path.read_text(encoding="utf-8"))["body"]
    assert body["max_completion_tokens"] == 100
    assert "max_tokens" not in body
    assert read_requests(path) == {REQUESTS[0].key: REQUESTS[0]}


def test_replies_are_stored_and_paid_as_if_they_had_been_asked_for_one_by_one(store: RequestStore) -> None:
    assert read(store, *map(line, REQUESTS)) == Results(4, 0, {}, 0)
    known = store.get_many([asked.key for asked in REQUESTS])
    assert [read_reply(known[asked.key], asked).text for asked in REQUESTS] == ["yes"] * 4
    assert store.spending("run", "batch").requests == 4
    assert store.spending("run").cost == pytest.approx(40 / 1e6)


def test_a_file_that_is_read_twice_is_paid_once(store: RequestStore) -> None:
    read(store, *map(line, REQUESTS))
    assert read(store, *map(line, REQUESTS)) == Results(0, 4, {}, 0)
    assert set(store.calls().values()) == {1}


def test_a_reply_that_stands_twice_in_a_file_is_paid_once(store: RequestStore) -> None:
    assert read(store, line(REQUESTS[0]), line(REQUESTS[0])) == Results(1, 1, {}, 0)
    assert set(store.calls().values()) == {1}


def test_a_request_that_two_runs_have_sent_is_paid_by_both_and_the_first_reply_stays(
    store: RequestStore,
) -> None:
    later = {"choices": [{"message": {"content": "no"}}], "usage": {"prompt_tokens": 9}}
    read(store, line(REQUESTS[0]))
    assert read(store, line(REQUESTS[0], later), payer="another") == Results(1, 0, {}, 0)
    assert read(store, line(REQUESTS[0], later), payer="another") == Results(0, 1, {}, 0)
    assert store.spending("another").requests == store.spending("run").requests == 1
    (raw,) = store.get_many([REQUESTS[0].key]).values()
    assert read_reply(raw, REQUESTS[0]).text == "yes"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_line_ends_of_other_systems_and_characters_that_look_like_some(store: RequestStore, end: str) -> None:
    body = {"choices": [{"message": {"content": "a\u2028b\x85c"}}]}
    assert read(store, line(REQUESTS[0], body, ascii=False), line(REQUESTS[1]), end=end).stored == 2
    (raw,) = store.get_many([REQUESTS[0].key]).values()
    assert read_reply(raw, REQUESTS[0]).text == "a\u2028b\x85c"


def test_half_a_surrogate_pair_in_an_answer_is_stored(store: RequestStore) -> None:
    assert read(store, line(REQUESTS[0], {"choices": [{"message": {"content": "\ud800"}}]})).stored == 1


def test_failures_are_not_stored_and_say_why(store: RequestStore) -> None:
    one, two, three, _ = REQUESTS
    results = read(
        store,
        line(one, {"error": {"message": "too\nlong"}}, status=400),
        line(two, error={"code": "expired"}),
        line(three, {"choices": []}),
        json.dumps({"custom_id": "of somebody else", "response": None, "error": None}),
    )
    assert results.stored == 0
    assert results.foreign == 1
    assert set(results.failed) == {one.key, two.key, three.key}
    assert results.failed[one.key].reason.startswith("HTTP 400: ")
    assert "too" in results.failed[one.key].reason
    assert "expired" in results.failed[two.key].reason
    assert [results.failed[asked.key].lasting for asked in (one, two, three)] == [True, False, False]
    assert not any("\n" in failed.reason for failed in results.failed.values())
    assert store.calls() == {}


def test_a_request_that_failed_and_was_answered_is_no_failure(store: RequestStore) -> None:
    assert read(store, line(REQUESTS[0], error="expired"), line(REQUESTS[0])) == Results(1, 0, {}, 0)


@pytest.mark.parametrize("bad", ["{", "[]", "7", "{}", '{"custom_id": "x", "response": 3}', "[" * 100_000])
def test_what_is_no_result_is_named_with_its_line_and_what_stood_before_is_kept(
    store: RequestStore, bad: str
) -> None:
    with pytest.raises(BadInput, match=r"results.jsonl:2: not a line of batch results"):
        read(store, line(REQUESTS[0]), bad)
    assert len(store.calls()) == 1


def test_a_file_that_is_not_there_or_not_text_is_bad_input(store: RequestStore) -> None:
    path = store.path.with_name("nowhere.jsonl")
    for _ in range(2):
        with pytest.raises(BadInput, match="cannot be read as a file of a batch API"):
            read_results(path, ASKED, store, payer="run")
        path.write_bytes(b"\xff\xfe\x00")
