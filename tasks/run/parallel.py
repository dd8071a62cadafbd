"""The one seam between plain functions and Dask: a mapper applies a function to items and yields results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Mapper(Protocol):
    """Applies `function` to every item, somewhere, and yields the results in the items' order."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...


def serial(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The mapper that runs here, one item after the other."""
    return map(function, items)


def on_dask(client: Any, ahead: int = 4) -> Mapper:
    """A mapper over a Dask client's workers.

    Args:
        client: distributed.Client.
        ahead: items in flight per worker thread; bounds the memory held by inputs and results.
    """

    def mapper(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        threads = max(1, sum(client.nthreads().values()))
        flying: deque[Any] = deque()
        for item in items:
            # pure=False: equal items are separate work, so nothing hashes large inputs.
            flying.append(client.submit(function, item, pure=False))
            if len(flying) >= threads * ahead:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()

    return mapper
