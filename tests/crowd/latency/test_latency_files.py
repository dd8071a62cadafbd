"""Times out of a file, and whom the test of pool maintenance finds too slow."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tasks.crowd.latency.simulate import _Worker
from tasks.crowd.latency.times import read_times, seconds_of
from tasks.records import BadInput


def test_seconds_and_dates_are_times() -> None:
    found = seconds_of(["12.5", "1970-01-01T00:01:00", "1970-01-01 01:00:00+01:00", "noon", "nan", "inf"])
    assert found[:3].tolist() == [12.5, 60.0, 0.0]
    assert np.isnan(found[3:]).all()


def test_rows_that_are_no_times_are_left_out_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    rows = [["a", "0", "10"], ["b", "5", "4"], ["c", "soon", "4"], ["", "0", "1"], ["a", "20", "25"]]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["worker", "started", "finished"], *rows])
    times = read_times(str(path))
    assert times.worker == ["a", "a"]
    assert times.seconds.tolist() == [10, 5]
    assert sorted((one.id, one.reason) for one in times.rejected) == [
        (f"{path}:3", "does not end after it begins"),
        (f"{path}:4", "no time"),
        (f"{path}:5", "no worker"),
    ]
    with pytest.raises(
        BadInput, match=r"--times: 3 of 5 records cannot be used, .*--max-broken \(now 0\.5\)"
    ):
        read_times(str(path), 0.5)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,soon,later", r"1 of 1 no time \(first .*times\.csv:2, soon to later; give seconds, or dates"),
        (
            "a,20,10",
            r"1 of 1 does not end after it begins \(.*:2, 20 to 10; are started and finished swapped\?",
        ),
    ],
)
def test_a_file_without_any_time_says_what_it_has(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "times.csv"
    path.write_text(f"worker,started,finished\n{row}\n", encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        read_times(str(path))


@pytest.mark.parametrize("cut", [False, True])
def test_who_is_at_the_threshold_is_found_too_slow_as_seldom_as_the_test_says(cut: bool) -> None:
    """And who is slower is found, though most of his answers are cut short."""
    random = np.random.default_rng(0)

    def found(median: float) -> float:
        slow = 0
        for _ in range(1500):
            one = _Worker(median)
            for _ in range(12):
                seconds = median * np.exp(0.5 * random.standard_normal())
                limit = 25 * np.exp(0.3 * random.standard_normal()) if cut else np.inf
                one.learn(min(seconds, limit), seconds <= limit, 30.0, 0.5)
            slow += one.too_slow
        return slow / 1500

    assert found(30.0) == pytest.approx(0.05, abs=0.025)
    assert found(60.0) > 0.9
