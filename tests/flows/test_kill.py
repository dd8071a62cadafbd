"""A run that is killed, and killed again, ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from flows.__main__ import main
from tests.bench import kill

pytestmark = pytest.mark.server


def test_a_killed_and_an_interrupted_run_is_continued_without_extracting_twice(
    prefect_server, settings, corpus, tmp_path, without_dask, monkeypatch
):
    from prefect.settings import PREFECT_API_URL

    from flows.equal import equal

    # Less to start: no student, so nothing of PyTorch is loaded.
    changes = {"budget": 0.3, "rounds": 3, "documents_per_pull": 4, "train": "never"}
    monkeypatch.setattr(kill, "SETTINGS", {name.replace("_", "-"): value for name, value in changes.items()})
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    equal(settings(tmp_path / "whole", kill.NAME, compare=["random"], **changes))
    runs, log = tmp_path / "runs", tmp_path / "log"

    process = kill.start(kill.first_arguments(*corpus, runs), log)
    try:
        assert kill.wait_for(process, runs, kill.extracted(6), log)
    finally:
        kill.stop(process)
    assert not (runs / "equal" / kill.NAME / "summary.json").exists()

    process = kill.start(kill.resume_arguments(runs), log)
    try:
        assert kill.wait_for(process, runs, kill.file("rounds/02/pulls.json"), log)
        # As a terminal does it: to every process of the group.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        kill.stop(process)
    assert _complaints(log) == [
        f"sluice: interrupted; nothing that was read is lost, continue with --resume {kill.NAME}"
    ]

    kill.finish(kill.start(kill.resume_arguments(runs), log), log)
    assert kill.hashes(runs) == kill.hashes(tmp_path / "whole")
    assert set(kill.calls(runs).values()) == {1}
    assert kill.calls(runs).keys() == kill.calls(tmp_path / "whole").keys()


def test_a_terminated_run_says_how_to_go_on_and_does(prefect_server, corpus, tmp_path, monkeypatch):
    from prefect.settings import PREFECT_API_URL

    changes = {"budget": 0.3, "rounds": 3, "train": "never"}
    monkeypatch.setattr(kill, "SETTINGS", changes)
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    runs, log = tmp_path / "runs", tmp_path / "log"
    process = kill.start(kill.first_arguments(*corpus, runs), log)
    try:
        assert kill.wait_for(process, runs, kill.file("rounds/01/pulls.json"), log)
        process.terminate()  # itself alone, as `kill` does it
        assert process.wait(60) == 143
    finally:
        kill.stop(process)
    assert _complaints(log) == [
        f"sluice: terminated; nothing that was read is lost, continue with --resume {kill.NAME}"
    ]
    assert not list((runs / "equal").rglob("*.tmp"))
    kill.finish(kill.start(kill.resume_arguments(runs), log), log)
    assert set(kill.calls(runs).values()) == {1}


def test_terminated_before_anything_has_begun_is_a_word_and_the_handler_goes(monkeypatch, capfd):
    def check(settings: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("tasks.loop.check.check_inputs", check)
    assert main(["equal", "--corpus", "c", "--target", "t"]) == 143
    assert capfd.readouterr().err == "sluice: terminated\n"
    assert signal.getsignal(signal.SIGTERM) == before


def _complaints(log: Path) -> list[str]:
    """Lines that are neither a stage nor a round."""
    lines = log.read_text().splitlines()
    return [
        line for line in lines if not line.endswith(" ...") and not line.startswith(("sluice run", "round "))
    ]
