"""An end in the middle: nothing is lost that was paid."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.llm.ask import Limits, each
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tests.llm.asking import ASK, BODY, Scripted, ask_all, asker_of, until
from tests.llm.fake_server import FakeServer
from tests.llm.verdicts import DOLLAR, request, run


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
