"""Asking: paid once, and never past the budget."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.llm.ask import Failure, Limits
from tasks.llm.endpoint import Passing, Throttled, Unanswerable
from tasks.llm.prices import Prices
from tasks.llm.request import Reply, Usage
from tasks.llm.store import RequestStore
from tasks.records import Stopped
from tests.llm.asking import ASK, BODY, Scripted, ask_all, asker_of, until
from tests.llm.fake_server import FakeServer
from tests.llm.verdicts import DOLLAR, request, run, texts, with_asker

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


def test_processes_that_ask_the_same_at_once_pay_once(tmp_path: Path) -> None:
    with FakeServer(latency=0.02) as server:
        code = (
            "import sys, openai, tests.llm.asking\nprint('ready', flush=True)\nsys.stdin.readline()\n" + ASK
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
