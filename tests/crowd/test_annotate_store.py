"""Answers at rest: each counts once, and none that was accepted is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.crowd.annotate.store import Answer, CampaignStore
from tasks.records import BadInput

ROOT = Path(__file__).resolve().parents[2]


def test_of_a_workers_answers_to_an_item_the_first_counts(tmp_path):
    with CampaignStore(tmp_path / "s") as store:
        assert store.accept([Answer("a", "ann", "x"), Answer("a", "bob", "y")]) == ([True, True], [])
        assert store.accept([Answer("a", "ann", "y")]) == ([False], [])
        assert [(one.worker, one.label) for one in store.answers()] == [("ann", "x"), ("bob", "y")]


def test_of_several_answers_all_are_kept_or_none(tmp_path):
    with CampaignStore(tmp_path / "s") as store:
        with pytest.raises((BadInput, sqlite3.IntegrityError)):
            store.accept([Answer("a", "ann", "x"), Answer("b", "ann", None)])  # type: ignore[arg-type]
        assert store.answers() == []


def test_a_lease_ends_with_its_time_or_its_answer(tmp_path):
    now = [100.0]
    with CampaignStore(tmp_path / "s", clock=lambda: now[0]) as store:
        first = store.lease("ann", ["a", "b", "c"], seconds=10)
        assert store.lease("bob", ["a"], seconds=20) == first + 1
        store.accept([Answer("b", "ann", "x")], [("c", "ann", "skipped", 1)], timed=True)
        assert [(one.task, one.worker) for one in store.leases()] == [("a", "ann"), ("a", "bob")]
        now[0] = 112.0
        assert [(one.task, one.worker) for one in store.leases()] == [("a", "bob")]
        assert store.accept([Answer("a", "ann", "x")], timed=True)[0] == [True]  # late, and accepted
        assert [one.seconds for one in store.answers()] == [0.0, 12.0]
        assert store.skips() == [("c", "ann", 1)]


def test_a_killed_process_loses_no_answer_that_it_accepted(tmp_path):
    """It says so after each answer, and is killed in the middle of them."""
    script = (
        "import sys\nfrom tasks.crowd.annotate.store import Answer, CampaignStore\n"
        "store, number = CampaignStore(sys.argv[1]), 0\n"
        "while True:\n"
        "    store.accept([Answer(f't{number}', 'ann', 'x')])\n"
        "    print(number, flush=True)\n"
        "    number += 1\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "s")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 200:
            break
    os.kill(process.pid, signal.SIGKILL)
    told = [int(line) for line in process.stdout.read().split()]
    process.wait()
    with CampaignStore(tmp_path / "s") as store:
        kept = [one.task for one in store.answers()]
    assert len(kept) > max(told, default=200)
    assert kept == [f"t{number}" for number in range(len(kept))]


def test_another_file_is_no_store(tmp_path):
    (tmp_path / "s").write_bytes(b"not a database" * 100)
    with pytest.raises(BadInput, match="not a store of a campaign's answers"):
        CampaignStore(tmp_path / "s")
