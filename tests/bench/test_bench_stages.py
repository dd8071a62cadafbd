"""The measured cost of the machinery: shares of the right whole, no continued runs, memory of all processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench.stages import main, peak_memory, stages


def test_orchestration_is_what_stages_leave_with_and_without_the_server() -> None:
    lines = stages({"read": 60.0, "encode": 30.0, "all": 100.0}, imports=5.0, server=15.0).splitlines()
    assert "| read | 60.0 | 60.0% |" in lines
    assert "| orchestration (all - stages) | 10.0 | 10.0% |" in lines
    assert "| server's start, before it | 15.0 | 12.5% |" in lines
    assert "| orchestration and server's start | 25.0 | 20.8% |" in lines


@pytest.mark.parametrize(
    ("log", "files", "said"),
    [
        ("Finished in state Cached(type=COMPLETED)\n", ("summary.json",), "continued with --resume"),
        ("", (), "no finished run"),
    ],
)
def test_runs_whose_clock_says_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str, files: tuple[str, ...], said: str
) -> None:
    (tmp_path / "log.txt").write_text(log)
    for name in files:
        (tmp_path / name).write_text(json.dumps({"seconds": {"all": 1.0}}))
    assert main([str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_peak_memory_is_of_the_command_and_its_children() -> None:
    child = "import time; held = b'x' * (100 << 20); time.sleep(1)"
    code = f"import subprocess, sys; held = b'x' * (40 << 20); subprocess.run([sys.executable, '-c', {child!r}, {{role!r}}])"
    peaks = peak_memory([sys.executable, "-c", code.format(role="multiprocessing.spawn")])
    assert 40 < peaks["flow"] < 80
    assert 100 < peaks["worker"] < 140
    assert peaks["all"] == pytest.approx(peaks["flow"] + peaks["worker"], rel=0.1)
    assert peaks["server"] == 0
    with pytest.raises(RuntimeError, match="exit code 3"):
        peak_memory([sys.executable, "-c", "raise SystemExit(3)"])
