"""The one seam between plain functions and Dask: a mapper applies a function to items and yields results in order."""

from __future__ import annotations

import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol, TypeVar

from tasks.records import BadInput, Stopped
from tasks.run.interrupts import without_interrupts

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 15
_SCHEDULER_GONE = "the Dask scheduler has gone away"


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
        if client.status in ("closing", "closed"):  # by Dask, which could not connect again
            raise ConnectionError(_SCHEDULER_GONE)
        threads = max(1, sum(client.nthreads().values()))
        flying: deque[Any] = deque()
        for item in items:
            # pure=False: equal items are separate work, so nothing hashes large inputs.
            flying.append(client.submit(function, item, pure=False))
            if len(flying) >= threads * ahead:
                yield _result(client, flying.popleft())
        while flying:
            yield _result(client, flying.popleft())

    return mapper


def _result(client: Any, future: Any) -> Any:
    """A result, waited for as long as there is a worker to give it; Dask would wait for ever.

    Raises:
        ConnectionError: the scheduler is gone, and with it what it was to do.
        Stopped: all workers are gone.
    """
    from distributed import CancelledError, wait

    try:
        while not future.done():
            try:
                wait([future], timeout=CONNECT_SECONDS)
            except TimeoutError:
                if not client.nthreads():
                    raise Stopped(
                        "the Dask scheduler has lost its workers; start some, then resume"
                    ) from None
        return future.result()
    except CancelledError:
        raise ConnectionError(_SCHEDULER_GONE) from None


@contextmanager
def workers(count: int, scheduler: str) -> Iterator[None]:
    """Dask workers for the tasks inside the block: processes with one thread each, or those of a scheduler.

    One thread a process, because torch, faiss and BLAS take threads of their own and fight over cores.

    Raises:
        BadInput: no scheduler answers at the address, or it has no workers.
    """
    from multiprocessing import resource_tracker

    import dask
    from distributed import Client, LocalCluster

    if scheduler:
        # Not in one `with` with the work: an OSError of the work is not the scheduler's.
        with _connect(scheduler):
            yield
        return
    # Started by the first worker it would let SIGINT through again.
    resource_tracker.ensure_running()
    # Dask would have every worker return freed memory at once, which makes training there four times slower.
    environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1)
    with without_interrupts(), dask.config.set({"distributed.nanny.pre-spawn-environ": environment}):
        # A worker prints what fails in it as an error; it comes back to us, and whoever called says it once.
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        )
    from tasks.run.worker import QuickEnd

    with cluster, Client(cluster) as client:
        client.register_plugin(QuickEnd())
        yield


def import_on_workers(*modules: str) -> None:
    """Has every worker import modules while nothing else is asked of it; does not wait for them.

    The imports of torch and transformers take a worker as long as a small training.
    """
    from distributed import default_client, fire_and_forget

    try:
        client = default_client()
    except ValueError:
        return
    for worker in client.nthreads():
        fire_and_forget(client.submit(_import, modules, workers=[worker], pure=False))


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        with suppress(ImportError):  # the stage that needs it will say so
            import_module(module)


def check_scheduler(address: str) -> None:
    """Whether a scheduler answers at an address; found out at once, where Dask tries for a while or waits for ever.

    Raises:
        BadInput: none does.
    """
    scheme, _, rest = address.rpartition("://")
    if not address or scheme not in ("", "tcp", "tls"):
        return
    host, _, port = rest.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS) as peer:
            # A scheduler speaks first. Dask's client has no time limit on that: it would hang on what stays silent.
            if scheme != "tls" and not peer.recv(1):
                raise OSError("the connection was closed")
    except ValueError:
        raise _no_scheduler(address, "expected tcp://host:port") from None
    except OSError as error:
        raise _no_scheduler(address, error.strerror or str(error)) from None


def _connect(address: str) -> Any:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise _no_scheduler(address, " ".join(str(error).split())) from None
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        client.close()
        raise BadInput(
            f"--scheduler {address}: the scheduler has no workers; start some: dask worker {address}"
        ) from None
    return client


def _no_scheduler(address: str, why: str) -> BadInput:
    return BadInput(f"--scheduler {address}: no Dask scheduler answers there ({why})")


def current_mapper() -> Mapper:
    """The mapper of the workers in force, `serial` where there are none."""
    if "distributed" not in sys.modules:
        return serial
    from distributed import default_client

    try:
        return on_dask(default_client())
    except ValueError:
        return serial
