"""Asking: paid once, never past the budget, nothing lost that was paid, and an end where nobody answers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.llm import ask
from tasks.llm.ask import Asker, Failure, Limits, each
from tasks.llm.endpoint import Passing, Throttled, Unanswerable
from tasks.llm.prices import Prices
from tasks.llm.request import Reply, Request, Usage
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped
from tests.llm.fake_server import FakeServer, Faults, judge
from tests.llm.verdicts import DOLLAR, SOON, request, run, texts, with_asker

BODY = json.dumps(
    {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
)


class Scripted:
    """An endpoint that does what it is told for each request in turn; the last again for all that follow."""

    name, at_once = "scripted", 99

    def __init__(self, *script: str | Exception) -> None:
        self.script, self.asked = list(script), 0
        self.under_way = self.most_under_way = 0
        self.go: asyncio.Event | None = None  # set to have requests wait for it

    async def complete(self, request: Request) -> str:
        self.asked += 1
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await (self.go.wait() if self.go else asyncio.sleep(0))
        finally:
            self.under_way -= 1
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    with RequestStore(tmp_path / "s.sqlite") as opened:
        yield opened


def asker_of(endpoint: Any, store: RequestStore, limits: Limits = SOON, **settings: Any) -> Asker:
    return Asker(
        endpoint, store, limits=limits, **{"payer": "run", "stage": "s", "prices": DOLLAR, **settings}
    )


async def ask_all(asker: Asker, requests: list[Request]) -> list[Any]:
    found: list[Any] = [None] * len(requests)

    async def one(place: int) -> None:
        found[place] = await asker.ask(requests[place])

    await each(asker, range(len(requests)), one)
    return found


async def until(true: Any) -> None:
    """Let the others work until it is."""
    for _ in range(100_000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to that")


# Paid once


def test_a_reply_is_paid_once_and_then_known(store: RequestStore) -> None:
    endpoint = Scripted(BODY)

    async def twice() -> list[Reply | Failure]:
        asker = asker_of(endpoint, store)
        return [await asker.ask(request()), await asker.ask(request())]

    first, second = asyncio.run(twice())
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert (first.paid, second.paid) == (True, False)
    assert (first.text, first.usage) == (second.text, second.usage)
    assert endpoint.asked == 1


def test_coroutines_that_ask_the_same_at_once_pay_once(store: RequestStore) -> None:
    endpoint = Scripted(BODY)

    async def at_once() -> list[Any]:
        return await ask_all(asker_of(endpoint, store), [request()] * 20)

    replies = asyncio.run(at_once())
    assert texts(replies) == ["yes"] * 20
    assert endpoint.asked == sum(reply.paid for reply in replies) == 1
    assert store.spending("run").requests == 1


ASK = """
import asyncio, sys
from tasks.llm.ask import Limits
from tests.llm.test_llm_ask import ask_all
from tests.llm.verdicts import request, with_asker
url, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
limits = Limits(concurrency=8, retries=3, timeout=20.0, pause=0.01)
requests = [request(str(n)) for n in range(count)]
print(len(asyncio.run(with_asker(url, path, lambda asker: ask_all(asker, requests), limits=limits))))
"""


def test_processes_that_ask_the_same_at_once_pay_once(tmp_path: Path) -> None:
    with FakeServer(latency=0.02) as server:
        code = (
            "import sys, openai, tests.llm.test_llm_ask\nprint('ready', flush=True)\nsys.stdin.readline()\n"
            + ASK
        )
        processes = [run(code, server.url, str(tmp_path / "s"), "30", stdin=True) for _ in range(2)]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[0] for process in processes] == ["30\n", "30\n"]
        assert {len(times) for times in server.asked.values()} == {1}
    assert len(server.asked) == 30
    with RequestStore(tmp_path / "s") as store:
        assert set(store.calls().values()) == {1}
        assert store.lost("run") == 0


def test_a_killed_process_loses_what_it_had_under_way_alone_and_others_take_over(tmp_path: Path) -> None:
    """The server answers ten requests and keeps the others waiting until the process is dead."""
    dead, answered = threading.Event(), threading.Event()
    server: FakeServer

    def first_ten(body: dict[str, Any]) -> str:
        if int(body["messages"][0]["content"]) >= 10:
            answered.set()
            dead.wait(30)
        return "yes"

    with FakeServer(answer=first_ten) as server:
        process = run(ASK, server.url, str(tmp_path / "s"), "30")
        with RequestStore(tmp_path / "s") as store:
            assert answered.wait(30)
            deadline = time.monotonic() + 30
            while sum(map(len, server.asked.values())) < 18 or len(store.calls()) < 10:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            dead.set()
            kept = set(store.calls())
            replies = asyncio.run(
                with_asker(
                    server.url, store.path, lambda asker: ask_all(asker, [request(str(n)) for n in range(30)])
                )
            )
            assert texts(replies) == ["yes"] * 30
            assert len(kept) == 10
            assert {len(server.asked[key]) for key in kept} == {1}
            assert sum(len(times) == 2 for times in server.asked.values()) == 8
            assert store.lost("run") == pytest.approx(8 * DOLLAR.most(request("10")))


# The budget


def test_budget_stops_before_the_request_that_would_exceed_it(store: RequestStore) -> None:
    endpoint, most = Scripted(BODY), DOLLAR.most(request("0"))
    cost = 10 / 1e6
    budget = 3 * cost + most

    async def many() -> None:
        await ask_all(asker_of(endpoint, store, budget=budget), [request(str(n)) for n in range(9)])

    with pytest.raises(Stopped, match="budget") as caught:
        asyncio.run(many())
    assert "\n" not in str(caught.value)
    assert endpoint.asked == len(store.calls()) == 4
    assert store.spending("run").cost == pytest.approx(4 * cost)


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_the_budget_holds_with_many_at_once_who_all_cost_their_most(
    store: RequestStore, concurrency: int
) -> None:
    one = request("00")
    usage = {"prompt_tokens": one.most_tokens, "completion_tokens": one.most_answered}
    dear = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage})
    endpoint, limits = Scripted(dear), Limits(concurrency=concurrency, timeout=5)
    budget = 20.5 * DOLLAR.most(one)

    async def many() -> None:
        asker = asker_of(endpoint, store, limits, budget=budget)
        await ask_all(asker, [request(f"{n:02}") for n in range(100)])

    with pytest.raises(Stopped, match="budget"):
        asyncio.run(many())
    assert endpoint.most_under_way <= min(concurrency, 20)
    assert store.spending("run").cost <= budget
    assert store.spending("run").requests == endpoint.asked == 20


def test_requests_under_way_when_the_budget_ends_are_stored(store: RequestStore) -> None:
    endpoint, most = Scripted(BODY), DOLLAR.most(request("0"))

    async def many() -> None:
        endpoint.go = asyncio.Event()
        asker = asker_of(endpoint, store, budget=5.5 * most)
        work = asyncio.ensure_future(ask_all(asker, [request(str(n)) for n in range(8)]))
        await until(lambda: endpoint.asked == 5)
        store.put("dear", "{}", Usage(), payer="run", stage="another", cost=5.4 * most)
        await asyncio.sleep(0)
        endpoint.go.set()
        await work

    with pytest.raises(Stopped, match="budget"):
        asyncio.run(many())
    assert store.spending("run", "s").requests == endpoint.asked == 5


def test_money_that_is_held_by_another_asker_is_waited_for(store: RequestStore) -> None:
    """It may cost less: the budget is not spent before it is known what it cost."""
    endpoint, most = Scripted(BODY), DOLLAR.most(request("0"))

    async def two() -> list[Any]:
        endpoint.go = asyncio.Event()
        one, other = (asker_of(endpoint, store, budget=1.5 * most) for _ in range(2))
        first = asyncio.ensure_future(one.ask(request("0")))
        await until(lambda: endpoint.under_way)
        second = asyncio.ensure_future(other.ask(request("1")))
        await asyncio.sleep(0.1)
        assert not second.done()
        endpoint.go.set()
        return [await first, await second]

    assert texts(asyncio.run(two())) == ["yes", "yes"]


def test_the_budget_counts_what_may_have_been_charged_though_no_answer_came(store: RequestStore) -> None:
    """Or a server that always answers too late would cost without end."""
    most = DOLLAR.most(request())
    endpoint = Scripted(Passing("ReadTimeout", charged=True))

    async def once() -> None:
        await asker_of(endpoint, store, Limits(retries=9, pause=0.0), budget=4.5 * most).ask(request())

    with pytest.raises(Stopped, match="got no answer"):
        asyncio.run(once())
    assert endpoint.asked == 4
    assert store.lost("run") == pytest.approx(4 * most)


def test_answers_of_no_use_and_hanging_ones_count_as_charged_and_refused_ones_do_not(
    store: RequestStore,
) -> None:
    most = DOLLAR.most(request())
    script = ["{}", Throttled(0.01), Passing("ConnectError"), Unanswerable("HTTP 400"), BODY]

    async def some() -> None:
        asker = asker_of(Scripted(*script), store)
        await asker.ask(request())
        await asker.ask(request())

    asyncio.run(some())
    assert store.lost("run") == pytest.approx(most)


def test_without_prices_nothing_is_spent_and_a_budget_of_nothing_is_enough(store: RequestStore) -> None:
    async def one() -> Any:
        return await asker_of(Scripted(BODY), store, prices=Prices(), budget=0.0).ask(request())

    assert texts([asyncio.run(one())]) == ["yes"]


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
    limits = Limits(concurrency=8, retries=3, timeout=0.3, pause=0.01)
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

    assert asyncio.run(one()) == Failure("no answer in 0.05 s")


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


# An end in the middle


def test_what_waits_ends_at_once_when_another_stops_all(store: RequestStore) -> None:
    """A cool-down of minutes would otherwise be waited for."""
    endpoint = Scripted(BODY)

    async def some() -> None:
        asker = asker_of(endpoint, store)
        store.cool_down("scripted", 300.0)

        async def one(n: int) -> None:
            if n == 5:
                raise BadInput("the key is refused")
            await asker.ask(request(str(n)))

        await asyncio.wait_for(each(asker, range(10), one), 30)

    with pytest.raises(BadInput, match="the key"):
        asyncio.run(some())
    assert endpoint.asked == 0


@pytest.mark.parametrize("cooling", [False, True])
def test_cancellation_waits_for_what_is_under_way_and_loses_no_reply(
    store: RequestStore, cooling: bool
) -> None:
    endpoint = Scripted(BODY)

    async def interrupted() -> None:
        endpoint.go = asyncio.Event()
        asker = asker_of(endpoint, store, Limits(concurrency=4))
        work = asyncio.ensure_future(ask_all(asker, [request(str(n)) for n in range(50)]))
        await until(lambda: endpoint.asked == 4)
        if cooling:
            store.cool_down("scripted", 300.0)
        work.cancel()
        await asyncio.sleep(0.05)
        assert not work.done()
        endpoint.go.set()
        await asyncio.wait_for(work, 30)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())
    assert endpoint.asked == len(store.calls()) == 4
    assert store.lost("run") == 0


def test_a_second_cancellation_does_not_wait_and_what_it_leaves_may_have_been_charged(
    store: RequestStore,
) -> None:
    endpoint = Scripted(BODY)

    async def interrupted() -> None:
        endpoint.go = asyncio.Event()
        asker = asker_of(endpoint, store, Limits(concurrency=4))
        work = asyncio.ensure_future(ask_all(asker, [request(str(n)) for n in range(50)]))
        await until(lambda: endpoint.asked == 4)
        work.cancel()
        await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.wait_for(work, 30)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())
    assert store.calls() == {}
    assert store.lost("run") == pytest.approx(4 * DOLLAR.most(request("0")))


def test_a_fault_of_ours_goes_through_and_loses_no_reply(store: RequestStore) -> None:
    endpoint = Scripted(BODY)

    async def some() -> None:
        endpoint.go = asyncio.Event()
        asker = asker_of(endpoint, store)

        async def one(n: int) -> None:
            if n == 3:
                await until(lambda: endpoint.under_way == 3)
                asyncio.get_running_loop().call_later(0.05, endpoint.go.set)  # type: ignore[union-attr]
                raise ZeroDivisionError("by zero")
            await asker.ask(request(str(n)))

        await each(asker, range(9), one, at_once=4)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(some())
    assert endpoint.asked == len(store.calls()) == 3


def test_a_source_of_items_that_fails_is_heard(store: RequestStore) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise BadInput("line 2 is no record")

    async def some() -> None:
        asker = asker_of(Scripted(BODY), store)

        async def one(n: int) -> None:
            await asker.ask(request(str(n)))

        await each(asker, items(), one)

    with pytest.raises(BadInput, match="line 2"):
        asyncio.run(some())


def test_control_c_loses_no_reply_that_is_under_way(tmp_path: Path) -> None:
    """A process of its own, and its SIGINT."""
    go, waiting = threading.Event(), threading.Semaphore(0)

    def wait(body: dict[str, Any]) -> str:
        waiting.release()
        go.wait(30)
        return "yes"

    with FakeServer(answer=wait) as server:
        code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + ASK
        process = run(code, server.url, str(tmp_path / "s"), "30")
        for _ in range(8):
            assert waiting.acquire(timeout=30)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # for the signal to arrive before the answers
        go.set()
        assert process.wait(30) != 0
    assert sum(map(len, server.asked.values())) == 8
    with RequestStore(tmp_path / "s") as store:
        assert len(store.calls()) == 8
        assert store.lost("run") == 0


def test_no_more_at_once_than_the_endpoint_answers(store: RequestStore) -> None:
    endpoint = Scripted(BODY)
    endpoint.at_once = 1  # type: ignore[misc]

    async def many() -> None:
        await ask_all(asker_of(endpoint, store), [request(str(n)) for n in range(9)])

    asyncio.run(many())
    assert endpoint.most_under_way == 1


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import pkgutil, importlib, sys, tasks.llm\n"
        "for one in pkgutil.iter_modules(tasks.llm.__path__): importlib.import_module(f'tasks.llm.{one.name}')\n"
        "print(sorted({'prefect', 'torch', 'transformers', 'openai', 'great_expectations'} & set(sys.modules)))"
    )
    assert run(code).communicate(timeout=60)[0].strip() == "[]"


def test_the_key_is_not_in_the_store(tmp_path: Path) -> None:
    from tasks.llm.endpoint import Server

    key = "sk-secret-0123456789"

    async def one(url: str) -> None:
        server = Server(url, key)
        with RequestStore(tmp_path / "s") as store:
            await asker_of(server, store).ask(request())
        await server.close()

    with FakeServer() as server:
        asyncio.run(one(server.url))
    for path in tmp_path.iterdir():
        assert key.encode() not in path.read_bytes()
    assert os.listdir(tmp_path)
