"""An HTTP client for many small requests at once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2


class Apart(httpx2.AsyncClient):
    """Every request under way has a client, and so a connection, to itself.

    A pool looks through all of its connections when a request begins and when it ends; with 32 of them that took a sixth of a
    request's time. The connection used last is used next, so that no more are open than requests were under way.

    Args:
        connections: at most open at once; a request more waits for one.
        settings: of each client.
    """

    def __init__(self, connections: int, **settings: Any) -> None:
        super().__init__(**settings)
        one = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        self._each = [httpx2.AsyncClient(limits=one, **settings) for _ in range(connections)]
        self._idle: asyncio.LifoQueue[httpx2.AsyncClient] = asyncio.LifoQueue()
        for client in self._each:
            self._idle.put_nowait(client)

    async def send(self, request: httpx2.Request, **named: Any) -> httpx2.Response:
        """Send a request whose answer is read to its end here, as all are that are not streamed."""
        client = await self._idle.get()
        try:
            return await client.send(request, **named)
        finally:
            self._idle.put_nowait(client)

    async def aclose(self) -> None:
        for client in self._each:
            await client.aclose()
        await super().aclose()
