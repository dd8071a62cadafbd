"""`sluice crowd latency`: recorded times in, when a campaign will be done and what it costs out."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.crowd.latency.settings import LatencySettings
from tasks.run.folder import digest
from tasks.storage.tables import read_rows

TABLES = ("completion.csv", "campaigns.csv", "rejected.parquet")


@pytest.fixture
def times(tmp_path: Path) -> Path:
    """Thirty workers, one every two minutes in the mean, who take 30 s in the median; one row does not end after it begins."""
    random = np.random.default_rng(4)
    rows: list[list[Any]] = []
    for worker, came in enumerate(np.cumsum(random.exponential(120, 30))):
        pace = 30 * np.exp(0.7 * random.standard_normal())
        for _ in range(8):
            left = came + pace * np.exp(0.5 * random.standard_normal())
            rows.append([f"w{worker}", came, left])
            came = left
    path = tmp_path / "times.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["worker", "started", "finished"], *rows, ["w0", 9, 8]])
    return path


@pytest.fixture
def make(times: Path, tmp_path: Path) -> Callable[..., LatencySettings]:
    def settings(run: str, **changes: Any) -> LatencySettings:
        given = {
            "times": str(times),
            "tasks": 60,
            "redundancy": 2,
            "pool": 6,
            "runs": 40,
            "runs_dir": str(tmp_path / "runs"),
            "run": run,
            **changes,
        }
        return LatencySettings(**given)

    return settings


@pytest.mark.server
def test_a_campaign_is_foretold_and_shown_and_the_same_after_a_stop(
    prefect_server, make, tmp_path, monkeypatch
):
    from flows.crowd import latency as module

    changes = {"tasks_per_hour": 240.0, "lost": 0.05, "present": 2, "batch": 20}
    summary = module.latency(make("whole", **changes))
    model = summary["model"]
    assert (model["workers"], model["answers"], model["rejected"]) == (30, 240, 1)
    assert model["median"] == pytest.approx(30, rel=0.35)
    assert model["recruiting"] == pytest.approx(120, rel=0.5)
    assert summary["low"] < summary["middle"] < summary["high"]
    assert summary["paid"] == 120
    assert summary["cost"] == pytest.approx(120 * 0.02)
    by_name = {row["name"]: row for row in summary["others"]}
    assert [name for name, row in by_name.items() if row["own"]] == ["neither"]
    assert by_name["straggler mitigation"]["round"] < summary["round"]
    assert by_name["straggler mitigation"]["paid"] > summary["paid"]
    retainer = summary["retainer"]
    assert retainer["load"] == pytest.approx(240 / 3600 * model["mean"])
    assert (
        retainer["lost"]
        <= 0.05
        < {row["pool"]: row["lost"] for row in retainer["around"]}[retainer["pool"] - 1]
    )
    run = tmp_path / "runs/crowd-latency/whole"
    with (run / "completion.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["middle"]) == pytest.approx(summary["middle"])
    assert [row["reason"] for row in read_rows(run / "rejected.parquet")] == ["does not end after it begins"]
    page = (run / "report.html").read_text()
    assert all(f'id="{part}"' in page for part in ("course", "shorter", "retainer"))
    assert "2 of them there at the beginning" in page
    assert module.shown(summary)[1][0] == "60"

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.report, "write_report", stopped)
        with pytest.raises(KeyboardInterrupt):
            module.latency(make("again", **changes))
    module.latency(make("again", **changes, resume=True))
    for name in TABLES:
        assert digest(run / name) == digest(run.parent / "again" / name)


@pytest.mark.server
def test_what_only_the_times_show_leaves_no_run(prefect_server, make, tmp_path):
    from flows.crowd.latency import latency
    from tasks.records import BadInput

    alone = tmp_path / "alone.csv"
    alone.write_text("worker,started,finished\nv,0,10\nv,10,30\nv,30,40\n", encoding="utf-8")
    with pytest.raises(
        BadInput,
        match=r"--times .*alone\.csv: 3 times of 1 workers; give three times at least, of two workers",
    ):
        latency(make("alone", times=str(alone)))
    assert not (tmp_path / "runs/crowd-latency/alone").exists()
    assert (
        latency(make("alone", times="", tasks=5, compare=False))["model"]["median"] == 30
    )  # the name is free


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--times", "none.csv"], f"--times {Path('none.csv').absolute()}: no such file"),
        (["--times", "{other}"], "no such column"),
        (["--median", "20", "--times", "{times}"], "--times tells this"),
        (["--pool", "2", "--redundancy", "3"], "--pool 2: 3 answers"),
        (["--pool", "4", "--present", "5"], "--present 5: the pool has 4"),
        (["--lost", "1"], "--lost"),
        (["--runs", "3"], "--runs"),
    ],
)
def test_what_cannot_work_is_one_line(times, tmp_path, capfd, flags, said):
    other = tmp_path / "other.csv"
    other.write_text("who,when\nv,1\n", encoding="utf-8")
    words = [flag.format(times=times, other=other) for flag in flags]
    assert main(["crowd", "latency", "--runs-dir", str(tmp_path / "runs"), *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
