"""Ctrl-C reaches every process of the terminal; only the one that runs the flow may answer it, and SIGTERM like it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `kill`, a container or a job scheduler sends it."""


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """SIGTERM raises Terminated in the main thread, where Python's default would end the process without a word.

    While a flow runs Prefect has a handler of its own; once it has noted that the flow has ended it sends the signal again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: Any) -> NoReturn:
    raise Terminated


@contextmanager
def without_interrupts() -> Iterator[None]:
    """SIGINT waits until the block ends; the processes and threads started in it never see one: they inherit the mask."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
