"""The Prefect server of a run started by hand: it survives Ctrl-C, so that the run can say goodbye, and nothing else."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tasks.records import Stopped
from tasks.run.interrupts import without_interrupts

_WATCH = 'read -r _; kill "$@" 2>/dev/null'


@contextmanager
def own_server(meanwhile: Callable[[], None] | None = None) -> Iterator[None]:
    """Starts Prefect's temporary server unless a server's address is configured, and ends it whenever we end.

    Prefect's server would take a Ctrl-C from the terminal as its own and leave the run without anybody to report to;
    and it would outlive a run that is killed.

    Args:
        meanwhile: done in a thread while the server starts, and to its end before the block begins.

    Raises:
        Stopped: no server answers.
    """
    import psutil

    us = psutil.Process()
    before = {child.pid for child in us.children()}
    with without_interrupts():
        aside = threading.Thread(target=meanwhile or (lambda: None), daemon=True)
        aside.start()
        _connect()
        # Two threads that import parts of one package at a time get halves of it: Python breaks the deadlock so.
        aside.join()
    started = [str(child.pid) for child in us.children() if child.pid not in before]
    if not started:
        yield
        return
    # The pipe closes with this process, however it ends; in a session of its own, out of reach of Ctrl-C.
    watch = subprocess.Popen(
        ["sh", "-c", _WATCH, "sh", *started], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        with without_heartbeats():
            yield
    finally:
        # Prefect ends its server itself when the interpreter exits; from here on the pids may be somebody else's.
        watch.terminate()
        watch.wait()
        assert watch.stdin is not None
        watch.stdin.close()


def without_heartbeats() -> AbstractContextManager[Any]:
    """Flow runs that send none: each would wait up to a second for its next one before it ends.

    They let a server notice that a run has crashed; this server ends with the run.
    """
    from prefect.settings import temporary_settings

    return temporary_settings(updates={"flows.heartbeat_frequency": None})


def _connect() -> None:
    """Raises Stopped when no server answers, be it one whose address is configured or one that should start here."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    error: Exception | None
    try:
        with get_client(sync_client=True) as client:
            error = client.api_healthcheck()  # returned, not raised
            if error is None:
                return
    except Exception as raised:  # whatever starting a server, or a library on the way to it, fails with
        error = raised
    why = " ".join(str(error).split()) or type(error).__name__
    if url := PREFECT_API_URL.value():
        raise Stopped(
            f"Prefect's server at {url} does not answer ({why}); start it, or unset PREFECT_API_URL"
        ) from error
    raise Stopped(f"Prefect's temporary server does not start ({why})") from error
