"""What the tests of asking share: an endpoint that is told what to say, and askers of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tasks.llm.ask import Asker, Limits, each
from tasks.llm.request import Request
from tasks.llm.store import RequestStore
from tests.llm.verdicts import DOLLAR, SOON

BODY = json.dumps(
    {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
)


ASK = """
import asyncio, sys
from tasks.llm.ask import Limits
from tests.llm.asking import ask_all
from tests.llm.verdicts import request, with_asker
url, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
limits = Limits(concurrency=8, retries=3, timeout=20.0, pause=0.01)
requests = [request(str(n)) for n in range(count)]
print(len(asyncio.run(with_asker(url, path, lambda asker: ask_all(asker, requests), limits=limits))))
"""


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
            await self.wait()
        finally:
            self.under_way -= 1
        if isinstance(said, Exception):
            raise said
        return said

    async def wait(self) -> None:
        """What a request takes."""
        await (self.go.wait() if self.go else asyncio.sleep(0))

    async def close(self) -> None:
        pass


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
