import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tasks.records import BadInput
from tasks.run.costs import Ledger
from tasks.storage.disk import is_full


def test_a_stage_adds_up_its_lines(tmp_path):
    ledger = Ledger(tmp_path / "costs.jsonl")
    ledger.append(
        0, "extract", documents=3, tokens=100, cached_documents=1, pairs=4, cost=0.5, cost_paid=0.25
    )
    ledger.append(
        1, "extract", documents=2, tokens=50, pairs=1, requests=3, tokens_sent=80, cost=0.25, cost_paid=0.25
    )
    ledger.append(1, "judge", documents=7)
    stages = ledger.by_stage()
    assert list(stages) == ["extract", "judge"]
    assert stages["extract"] == {
        "documents": 5,
        "tokens": 150,
        "cached_documents": 1,
        "pairs": 5,
        "requests": 3,
        "retries": 0,
        "tokens_sent": 80,
        "tokens_cached": 0,
        "tokens_answered": 0,
        "cost": 0.75,
        "cost_paid": 0.5,
    }
    assert stages["judge"]["documents"] == 7


def test_a_figure_the_ledger_does_not_know_is_refused(tmp_path):
    with pytest.raises(TypeError, match="tokns"):
        Ledger(tmp_path / "costs.jsonl").append(0, "extract", tokns=3)


def test_a_missing_ledger_is_empty(tmp_path):
    ledger = Ledger(tmp_path / "none" / "costs.jsonl")
    assert ledger.rows() == []
    assert ledger.by_stage() == {}
    ledger.replace_round(3)
    assert not ledger.path.exists()


def test_a_round_that_runs_again_is_counted_once(tmp_path):
    ledger = Ledger(tmp_path / "costs.jsonl")
    for number in (0, 1, 2):
        ledger.append(number, "extract", tokens=10)
    ledger.replace_round(2)
    ledger.append(2, "extract", tokens=11)
    assert [(row["round"], row["tokens"]) for row in ledger.rows()] == [(0, 10), (1, 10), (2, 11)]
    assert os.listdir(tmp_path) == ["costs.jsonl"]


def test_a_half_written_last_line_is_ignored_and_repaired(tmp_path):
    ledger = Ledger(tmp_path / "costs.jsonl")
    ledger.append(0, "extract", tokens=10)
    with ledger.path.open("a") as file:
        file.write('{"round": 1, "stage": "ext')
    assert [row["round"] for row in ledger.rows()] == [0]
    ledger.append(1, "extract", tokens=20)
    lines = ledger.path.read_text().splitlines()
    assert [json.loads(line)["tokens"] for line in lines] == [10, 20]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    ledger = Ledger(tmp_path / "costs.jsonl")
    ledger.append(0, "extract")
    with ledger.path.open("a") as file:
        file.write("nonsense\n")
    ledger.append(1, "extract")
    with pytest.raises(BadInput, match=r"costs\.jsonl:2"):
        ledger.rows()


def test_whole_lines_survive_a_kill(tmp_path):
    path = tmp_path / "costs.jsonl"
    program = (
        "import sys, itertools; from pathlib import Path; from tasks.run.costs import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for number in itertools.count(): ledger.append(number, 'extract', documents=1)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)])
    deadline = time.monotonic() + 20
    while not (path.exists() and len(path.read_bytes().splitlines()) >= 100) and time.monotonic() < deadline:
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    ledger = Ledger(path)
    before = len(ledger.rows())
    assert before >= 100
    ledger.append(before, "extract", documents=1)
    assert [row["round"] for row in ledger.rows()] == list(range(before + 1))


def test_a_line_that_the_disk_has_no_room_for_is_an_error_and_does_not_stay(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "costs.jsonl")
    ledger.append(0, "extract", tokens=10)
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, data: write(handle, data[:9]))
        with pytest.raises(OSError, match="No space left") as caught:
            ledger.append(1, "extract", tokens=20)
    assert is_full(caught.value)
    ledger.append(1, "extract", tokens=30)
    assert [row["tokens"] for row in ledger.rows()] == [10, 30]
