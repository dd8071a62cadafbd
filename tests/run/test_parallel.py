"""A scheduler of somebody else's: what is wrong with it is said in one line, and nothing waits for ever."""

from __future__ import annotations

import atexit
import gc
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks.records import BadInput, Stopped
from tasks.run import parallel
from tasks.run.services import is_lost


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CONNECT_SECONDS", 1)


@pytest.mark.parametrize("prefix", ["tcp://", ""])
def test_what_accepts_a_connection_and_stays_silent_is_no_scheduler(prefix: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{prefix}127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BadInput, match="no Dask scheduler answers there \\(timed out\\)"):
            parallel.check_scheduler(address)


def test_what_hangs_up_at_once_is_no_scheduler() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hangs_up = threading.Thread(target=lambda: server.accept()[0].close())
        hangs_up.start()
        with pytest.raises(BadInput, match="no Dask scheduler answers there"):
            parallel.check_scheduler(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        hangs_up.join()


def test_a_scheduler_without_workers_is_refused_and_one_with_a_worker_is_used() -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=0, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        parallel.check_scheduler(address)
        with pytest.raises(BadInput, match="the scheduler has no workers"), parallel.workers(1, address):
            pass
        cluster.scale(1)
        with parallel.workers(1, address):
            assert list(parallel.current_mapper()(str, [1, 2])) == ["1", "2"]


def _tell_at_exit(path: Path) -> None:
    atexit.register(lambda: path.write_text(str(gc.get_freeze_count())))


def test_a_worker_that_ends_does_not_look_for_garbage(tmp_path: Path) -> None:
    told = tmp_path / "frozen"
    with parallel.workers(1, ""):
        assert list(parallel.current_mapper()(_tell_at_exit, [told])) == [None]
    assert int(told.read_text()) > 1000  # objects; it came to its end by itself


def test_a_scheduler_that_loses_its_workers_stops_the_run() -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
        ) as cluster,
        parallel.workers(1, cluster.scheduler_address),
    ):
        cluster.scale(0)
        deadline = time.monotonic() + 30
        while cluster.workers and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(Stopped, match="lost its workers"):
            next(parallel.current_mapper()(str, [1]))


@pytest.mark.parametrize("working", [True, False], ids=["at work", "between stages"])
def test_a_scheduler_that_goes_away_is_a_lost_service(working: bool) -> None:
    from distributed import Client, LocalCluster
    from distributed.client import ClosedClientError

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
        ) as cluster,
        Client(cluster.scheduler_address, timeout=1) as client,
    ):
        results = parallel.on_dask(client)(time.sleep, [0, *[3] * 5])
        if working:
            next(results)
        cluster.close()
        deadline = time.monotonic() + 30
        while client.status != "closed" and not working and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises((OSError, ClosedClientError)) as lost:
            list(results)
        assert is_lost(lost.value), lost.value


def test_what_fails_in_a_worker_is_raised_here_and_not_printed_there(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuses(_: int) -> None:
        raise BadInput("--corpus: no good")

    with parallel.workers(1, ""), pytest.raises(BadInput, match="--corpus: no good"):
        next(parallel.current_mapper()(refuses, [1]))
    assert capfd.readouterr().err == ""


def test_a_function_that_times_out_is_not_a_lost_worker() -> None:
    from distributed import Client

    def late(_: int) -> None:
        raise TimeoutError("of its own")

    with (
        Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client,
        pytest.raises(TimeoutError, match="of its own"),
    ):
        next(parallel.on_dask(client)(late, [1]))


def test_workers_import_ahead_of_their_work_and_go_on_without_what_is_missing() -> None:
    with parallel.workers(1, ""):
        parallel.import_on_workers("colorsys", "no_such_module_anywhere")
        assert list(parallel.current_mapper()(_is_imported, ["colorsys"])) == [True]


def test_without_workers_nothing_is_imported_ahead() -> None:
    parallel.import_on_workers("no_such_module_anywhere")


def _is_imported(module: str) -> bool:
    return module in sys.modules
