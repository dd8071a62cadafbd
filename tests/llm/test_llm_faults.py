"""Faults: what is tried again, what is given up, and what is left alone for a while."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.llm import ask
from tasks.llm.ask import Failure, Limits
from tasks.llm.endpoint import Passing, Throttled, Unanswerable
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped
from tests.llm.asking import BODY, Scripted, ask_all, asker_of
from tests.llm.fake_server import FakeServer, Faults, judge
from tests.llm.verdicts import SOON, request, texts, with_asker

# Failures


def test_failures_are_never_stored_and_are_asked_again_another_time(store: RequestStore) -> None:
    endpoint = Scripted(Unanswerable("HTTP 400: too long"), BODY)

    async def twice() -> list[Any]:
        asker = asker_of(endpoint, store)
        return [await asker.ask(request()), await asker.ask(request())]

    failed, replied = asyncio.run(twice())
    assert failed == Failure("HTTP 400: too long")
    assert replied.text == "yes"
    assert store.spending("run").requests == 1


def test_a_poisonous_request_is_a_failure_and_the_others_are_answered(tmp_path: Path) -> None:
    def poison(body: dict[str, Any]) -> str:
        if "poison" in body["messages"][0]["content"]:
            raise ConnectionError("the connection is dropped")
        return judge(body)  # type: ignore[return-value]

    requests = [request(str(n)) for n in range(20)]
    requests[7] = request("poison")
    with FakeServer(answer=poison) as server:
        replies = asyncio.run(with_asker(server.url, tmp_path / "s", lambda asker: ask_all(asker, requests)))
    assert [place for place, reply in enumerate(replies) if isinstance(reply, Failure)] == [7]
    assert len(server.asked[requests[7].key]) == SOON.retries + 1
    with RequestStore(tmp_path / "s") as store:
        assert requests[7].key not in store.calls()


def test_retries_are_counted_with_those_that_were_too_many(store: RequestStore) -> None:
    script = [Passing("HTTP 500"), Throttled(0.01), "{}", BODY]

    async def one() -> Any:
        return await asker_of(Scripted(*script), store).ask(request())

    assert texts([asyncio.run(one())]) == ["yes"]
    assert store.spending("run").retries == 3


@pytest.mark.parametrize("retries", [0, 2])
def test_too_many_requests_is_no_failed_try(store: RequestStore, retries: int) -> None:
    script = [*[Passing("HTTP 500")] * retries, *[Throttled(0.001)] * 4, BODY]

    async def one() -> Any:
        return await asker_of(Scripted(*script), store, Limits(retries=retries, pause=0.001)).ask(request())

    assert texts([asyncio.run(one())]) == ["yes"]


def test_hanging_answers_time_out_and_are_asked_again(tmp_path: Path) -> None:
    limits = Limits(concurrency=8, retries=3, timeout=1.0, pause=0.01)
    with FakeServer(faults=Faults(hangs=0.3, at_most=2)) as server:
        replies = asyncio.run(
            with_asker(
                server.url,
                tmp_path / "s",
                lambda asker: ask_all(asker, [request(str(n)) for n in range(12)]),
                limits=limits,
            )
        )
    assert len(texts(replies)) == 12
    assert server.faulty["hangs"] > 0
    with RequestStore(tmp_path / "s") as store:
        assert store.spending("run").retries == server.faulty["hangs"]


def test_an_endpoint_that_never_answers_is_left_by_the_limit(store: RequestStore) -> None:
    async def one() -> Any:
        endpoint = Scripted(BODY)
        endpoint.go = asyncio.Event()
        return await asker_of(endpoint, store, Limits(retries=1, timeout=0.05, pause=0.0)).ask(request())

    assert asyncio.run(one()) == Failure(
        "no answer in 0.05 s (see --llm-timeout, --concurrency and --max-answer-tokens)"
    )


def test_of_a_server_that_answers_one_after_the_other_fewer_are_asked_at_once(store: RequestStore) -> None:
    """By so many at once each would be late, for ever; what is late is dropped there."""

    class OneByOne(Scripted):
        async def wait(self) -> None:
            async with turn:
                await asyncio.sleep(0.06)

    turn, endpoint = asyncio.Lock(), OneByOne(BODY)
    limits = Limits(concurrency=32, retries=6, timeout=0.2, pause=0.01)

    async def work() -> list[Any]:
        asker = asker_of(endpoint, store, limits)
        first = await ask_all(asker, [request(str(number)) for number in range(40)])
        endpoint.most_under_way = 0
        return first + await ask_all(asker, [request(str(number)) for number in range(40, 50)])

    assert len(texts(asyncio.run(work()))) == 50
    assert endpoint.most_under_way <= 4


def test_a_server_that_forgets_some_requests_is_asked_as_many_at_once_as_before(store: RequestStore) -> None:
    class Forgetful(Scripted):
        async def wait(self) -> None:
            await asyncio.sleep(30 if self.asked % 25 == 0 else 0.005)

    endpoint, limits = Forgetful(BODY), Limits(concurrency=16, retries=6, timeout=0.3, pause=0.01)

    async def work() -> list[Any]:
        asker = asker_of(endpoint, store, limits)
        first = await ask_all(asker, [request(str(number)) for number in range(400)])
        endpoint.most_under_way = 0
        return first + await ask_all(asker, [request(str(number)) for number in range(400, 450)])

    assert len(texts(asyncio.run(work()))) == 450
    assert endpoint.most_under_way == 16


def test_a_request_that_takes_too_long_by_itself_is_not_asked_for_ever(store: RequestStore) -> None:
    """A small model may repeat itself up to the bound of its answer, every time."""
    endpoint = Scripted(BODY)
    endpoint.go = asyncio.Event()

    async def one() -> Any:
        limits = Limits(concurrency=4, retries=9, timeout=0.05, pause=0.0)
        return await asker_of(endpoint, store, limits).ask(request())

    assert isinstance(asyncio.run(one()), Failure)
    assert endpoint.asked == 2


def test_with_all_faults_the_answers_are_the_same_as_without(tmp_path: Path) -> None:
    requests = [request(str(n)) for n in range(80)]
    limits = Limits(concurrency=16, retries=6, timeout=1.0, pause=0.005)

    def answers(server: FakeServer, name: str) -> list[str]:
        return texts(
            asyncio.run(
                with_asker(server.url, tmp_path / name, lambda asker: ask_all(asker, requests), limits=limits)
            )
        )

    with FakeServer() as well:
        wanted = answers(well, "well")
    faults = Faults(errors=0.1, throttles=0.05, bodies=0.05, hangs=0.01)
    with FakeServer(faults=faults) as faulty:
        assert answers(faulty, "faulty") == wanted
    assert {len(times) for times in faulty.answered.values()} == {1}
    with RequestStore(tmp_path / "faulty") as store:
        assert store.spending("run").retries == sum(faulty.faulty.values()) > 10


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_no_request_can_mend_stops_all_at_once(tmp_path: Path, status: int) -> None:
    with FakeServer() as server:
        server.always = (status, {}, "{}")
        with pytest.raises(BadInput, match=f"HTTP {status}"):
            asyncio.run(
                with_asker(
                    server.url,
                    tmp_path / "s",
                    lambda asker: ask_all(asker, [request(str(n)) for n in range(99)]),
                )
            )
    assert sum(map(len, server.asked.values())) <= SOON.concurrency
    assert {len(times) for times in server.asked.values()} == {1}


def test_a_dead_server_stops_after_a_few_requests_with_one_clear_line(tmp_path: Path) -> None:
    with FakeServer() as server:
        server.always = (503, {}, "{}")
        with pytest.raises(Stopped, match=r"does not answer: HTTP 503.*resume when it does") as caught:
            asyncio.run(
                with_asker(
                    server.url,
                    tmp_path / "s",
                    lambda asker: ask_all(asker, [request(str(n)) for n in range(500)]),
                )
            )
    assert "\n" not in str(caught.value)
    tries = SOON.retries + 1
    assert sum(map(len, server.asked.values())) <= (SOON.concurrency + ask.FAILED_IN_A_ROW) * tries


def test_a_server_that_refuses_every_request_stops_with_its_reason(tmp_path: Path) -> None:
    with FakeServer() as server:
        server.always = (400, {}, '{"error": {"message": "unsupported parameter: max_tokens"}}')
        with pytest.raises(Stopped, match=r"refuses every request.*unsupported parameter"):
            asyncio.run(
                with_asker(
                    server.url,
                    tmp_path / "s",
                    lambda asker: ask_all(asker, [request(str(n)) for n in range(500)]),
                )
            )
    assert len(server.asked) <= ask.REFUSED_AT_FIRST + SOON.concurrency


def test_refusals_after_an_answer_are_failures_of_their_requests(store: RequestStore) -> None:
    script = [BODY, *[Unanswerable("too long")] * 15]

    async def in_turn() -> list[Any]:
        asker = asker_of(Scripted(*script), store)
        return [await asker.ask(request(str(n))) for n in range(16)]

    assert sum(isinstance(one, Failure) for one in asyncio.run(in_turn())) == 15


def test_failures_in_a_row_are_forgotten_at_the_first_answer(store: RequestStore) -> None:
    script = [Passing("x"), Passing("x"), BODY] * 5

    async def in_turn() -> list[Any]:
        asker = asker_of(Scripted(*script), store, Limits(retries=0))
        return [await asker.ask(request(str(n))) for n in range(15)]

    assert sum(isinstance(reply, Failure) for reply in asyncio.run(in_turn())) == 10


# Too many requests


def test_a_cool_down_is_for_all_and_as_long_as_the_server_says(tmp_path: Path) -> None:
    """The first of many is throttled while the others wait for a slot: none is sent before the cool-down is over."""
    faults = Faults(throttles=1.0, at_most=1, retry_after={"Retry-After": "0.4"})
    limits = Limits(concurrency=1, timeout=5.0)
    requests = [request(str(n)) for n in range(3)]
    with FakeServer(faults=faults) as server:
        asyncio.run(
            with_asker(server.url, tmp_path / "s", lambda asker: ask_all(asker, requests), limits=limits)
        )
    asked = sorted(at for times in server.asked.values() for at in times)
    assert len(asked) == 6
    for throttled, following in zip(asked[::2], asked[1::2], strict=True):
        assert following - throttled >= 0.4


def test_a_cool_down_is_shared_through_the_store(tmp_path: Path) -> None:
    """Another process, or what is resumed at once, does not begin with a request."""
    with FakeServer() as server, RequestStore(tmp_path / "s") as store:
        store.cool_down(server.url, 0.5)
        began = time.time()
        asyncio.run(with_asker(server.url, store.path, lambda asker: asker.ask(request())))
    ((at,),) = server.asked.values()
    assert at - began >= 0.49


def test_a_server_that_says_no_time_is_left_alone_for_longer_and_longer(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(store, "cool_down", lambda _, seconds: pauses.append(seconds))
    now = iter([0.0, 0.0, 2.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
    monkeypatch.setattr(ask.time, "monotonic", lambda: next(now))
    asker = asker_of(Scripted(BODY), store, Limits(pause=0.5))
    asker._throttled_since = 0.0
    for said in (None, 0.0, None, None, None, None, 3.0):
        asker._cool_down(said)
    assert pauses == [2.0, 2.0, 2.0, 2.0, 4.0, 8.0, 3.0]


@pytest.mark.parametrize("seconds", [601.0, float("inf")])
def test_a_server_that_asks_for_more_patience_than_there_is_stops_the_run(
    store: RequestStore, seconds: float
) -> None:
    endpoint = Scripted(Throttled(seconds))

    async def one() -> None:
        await asker_of(endpoint, store).ask(request())

    with pytest.raises(Stopped, match="asks to wait"):
        asyncio.run(one())
    assert endpoint.asked == 1
    assert store.lost("run") == 0
