"""Which faults are worth another try."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests

from tasks.records import BadInput, Stopped
from tasks.run.stages import worth_retrying


def raised_from(cause: Exception) -> Exception:
    """As a library does that has words of its own for a network's failure."""
    error = OSError("We could not connect")
    error.__cause__ = cause
    return error


def killed_worker() -> Any:
    from distributed.scheduler import KilledWorker

    return KilledWorker("a task", SimpleNamespace(address="tcp://127.0.0.1:9"), 3)


def comm_closed() -> Any:
    from distributed.comm import CommClosedError

    return CommClosedError("in <TCP>: Stream is closed")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        TimeoutError("timed out"),
        requests.ConnectionError("Max retries exceeded"),
        httpx.ReadTimeout("timed out"),
        raised_from(requests.Timeout("timed out")),
        killed_worker(),
        comm_closed(),
        RuntimeError("what nobody foresaw"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_that_may_pass_is_tried_again(error: Exception) -> None:
    assert worth_retrying(None, None, SimpleNamespace(result=lambda raise_on_failure: error))


@pytest.mark.parametrize(
    "error",
    [
        BadInput("--budget: too much"),
        Stopped("the budget is spent"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("database or disk is full"),
        PermissionError(errno.EACCES, "Permission denied"),
        ValueError("a fault in the program"),
        KeyError("a fault in the program"),
        AssertionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_that_will_last_is_not(error: Exception) -> None:
    assert not worth_retrying(None, None, SimpleNamespace(result=lambda raise_on_failure: error))
