"""A service that went away (Prefect's server, Dask, a hub, a store), by whichever library says so."""

from __future__ import annotations

import socket

# By name: nothing heavy is imported to ask, and a library that is not installed cannot have raised.
_LOST = frozenset(
    {
        "httpx.TransportError",
        "httpx2.TransportError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "aiohttp.client_exceptions.ClientConnectionError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "distributed.client.ClosedClientError",
        "distributed.comm.core.CommClosedError",
        "distributed.scheduler.KilledWorker",
    }
)


def is_lost(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that a connection or a worker was lost."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
            return True
        if any(f"{kind.__module__}.{kind.__qualname__}" in _LOST for kind in type(error).__mro__):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
