"""Without a Prefect server nothing runs: that is one line, and says what to do."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import psutil
import pytest
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
    get_current_settings,
    temporary_settings,
)

from tasks.records import Stopped
from tasks.run import server
from tasks.run.server import own_server


def test_a_configured_server_that_does_not_answer_is_named() -> None:
    address = "http://127.0.0.1:1/api"
    with (
        temporary_settings({PREFECT_API_URL: address}),
        pytest.raises(Stopped, match=f"server at {address} does not answer .*unset PREFECT_API_URL"),
        own_server(),
    ):
        pass


def test_work_is_done_while_a_server_is_waited_for() -> None:
    done = threading.Event()
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        pytest.raises(Stopped),
        own_server(meanwhile=done.set),
    ):
        pass
    assert done.wait(10)


def test_what_is_done_meanwhile_is_over_when_the_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_connect", lambda: None)
    done = threading.Event()
    with own_server(meanwhile=lambda: done.wait(0.5) or done.set()):
        assert done.is_set()


@pytest.mark.parametrize("ours", [True, False])
def test_heartbeats_are_left_out_for_a_server_of_ours_alone(
    monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """A flow run waits for its next heartbeat before it ends; only a server that outlives it has a use for them."""
    child = [subprocess.Popen(["sleep", "60"])] if ours else []
    monkeypatch.setattr(psutil.Process, "children", lambda self: children.pop(0))
    children: list[list[Any]] = [[], child]
    monkeypatch.setattr(server, "_connect", lambda: None)
    try:
        with temporary_settings({"flows.heartbeat_frequency": 90}), own_server():
            assert get_current_settings().flows.heartbeat_frequency == (None if ours else 90)
    finally:
        for process in child:
            process.kill()
            process.wait()


def test_a_temporary_server_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("Timed out\nwhile attempting to connect")

    monkeypatch.setattr(SubprocessASGIServer, "start", fails)
    with (
        temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True}, restore_defaults={PREFECT_API_URL}),
        pytest.raises(Stopped, match=r"temporary server does not start \(Timed out while") as stopped,
        own_server(),
    ):
        pass
    assert "\n" not in str(stopped.value)
