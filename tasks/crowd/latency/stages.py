"""Fit the model of workers, simulate the campaign and what would shorten it, size the pool that waits."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.latency.forecast import Forecast, forecast
from tasks.crowd.latency.retainer import erlang_loss, pool_for
from tasks.crowd.latency.settings import LatencySettings
from tasks.crowd.latency.simulate import Plan
from tasks.crowd.latency.times import read_times
from tasks.crowd.latency.workers import ServiceModel, fit
from tasks.records import BadInput
from tasks.run.folder import versions
from tasks.run.tables import REJECTED, write_table, write_text

Facts = dict[str, Any]

COMPLETION, COURSES, REJECTS = "completion.csv", "campaigns.csv", "rejected.parquet"
_LARGEST_LOAD = 1e6  # workers; Erlang's recursion takes as many steps


def model(run: Path, settings: LatencySettings, source: Facts) -> Facts:
    """How long workers take: fitted to times, or as it is given."""
    if not settings.times:
        recruiting = settings.recruiting_given(None)
        nothing = {"answers": 0, "workers": 0, "rejected": 0}
        return {"files": [], **asdict(settings.model), "recruiting": recruiting, **nothing}
    times = read_times(settings.times)
    found = fit(np.asarray(times.worker, dtype=object), times.seconds, times.started)
    write_table(run / REJECTS, (reject.row for reject in times.rejected), REJECTED)
    return {
        "files": [REJECTS],
        **asdict(found),
        "recruiting": settings.recruiting_given(found.arrivals),
        "answers": len(times.worker),
        "workers": len(set(times.worker)),
        "rejected": len(times.rejected),
    }


def simulate(run: Path, settings: LatencySettings, fitted: Facts) -> Facts:
    """When the campaign will be done, and what it will be paid; the same with mitigation, maintenance and both."""
    retainer = _retainer(settings, fitted["recruiting"])
    workers = _model_of(fitted)
    plan = settings.plan(fitted["recruiting"])
    expected = forecast(workers, plan, settings.runs, settings.seed)
    _write(
        run / COMPLETION,
        ["share", "low", "middle", "high"],
        zip(expected.share, expected.low, expected.middle, expected.high, strict=True),
    )
    _write(
        run / COURSES,
        ["seconds", "paid", "replaced"],
        ([float(one.done.max()), one.paid, one.replaced] for one in expected.courses),
    )
    others = []
    for name, made in _alternatives(plan, workers, settings).items():
        own = made == plan
        other = expected if own else forecast(workers, made, settings.runs, settings.seed)
        others.append({"name": name, "own": own, **_figures(other, made, settings)})
    return {
        "files": [COMPLETION, COURSES],
        **_figures(expected, plan, settings),
        "others": others,
        "retainer": retainer,
    }


def summarise(settings: LatencySettings, *, fitted: Facts, expected: Facts) -> Facts:
    """The figures of a run, machine-readable."""
    return {
        "tasks": settings.tasks,
        "redundancy": settings.redundancy,
        "pool": settings.pool,
        "runs": settings.runs,
        "seed": settings.seed,
        "model": {name: value for name, value in fitted.items() if name not in ("files", "seconds")},
        **{name: value for name, value in expected.items() if name not in ("files", "seconds")},
        "versions": versions(),
    }


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("tasks", f"{summary['tasks']:,}"),
        ("done after", duration(summary["middle"])),
        ("90 % interval", f"{duration(summary['low'])} to {duration(summary['high'])}"),
        ("answers paid", f"{summary['paid']:,.0f}"),
        ("cost", f"${summary['cost']:,.2f}"),
    ]
    if summary["retainer"]:
        columns.append(("workers to keep waiting", f"{summary['retainer']['pool']:,}"))
    return [[name for name, _ in columns], [value for _, value in columns]]


def duration(seconds: float) -> str:
    """As people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


def _model_of(fitted: Facts) -> ServiceModel:
    to = fitted["fitted"]
    return ServiceModel(
        fitted["median"],
        fitted["between"],
        fitted["within"],
        fitted["arrivals"],
        None if to is None else (int(to[0]), int(to[1])),
    )


def _alternatives(plan: Plan, workers: ServiceModel, settings: LatencySettings) -> dict[str, Plan]:
    if not settings.compare:
        return {}
    slowest = workers.median if settings.slowest is None else settings.slowest
    return {
        "neither": replace(plan, mitigation=False, slowest=None),
        "straggler mitigation": replace(plan, mitigation=True, slowest=None),
        "pool maintenance": replace(plan, mitigation=False, slowest=slowest),
        "both": replace(plan, mitigation=True, slowest=slowest),
    }


def _figures(expected: Forecast, plan: Plan, settings: LatencySettings) -> Facts:
    low, middle, high = expected.interval
    paid = float(np.mean([one.paid for one in expected.courses]))
    rounds = np.concatenate([one.rounds for one in expected.courses])
    return {
        "low": low,
        "middle": middle,
        "high": high,
        "paid": paid,
        "cost": paid * settings.price,
        "replaced": float(np.mean([one.replaced for one in expected.courses])),
        "rounds": len(expected.courses[0].rounds),
        "round": float(rounds.mean()),
        "round_deviation": float(rounds.std()),
        "slowest": plan.slowest,
    }


def _retainer(settings: LatencySettings, recruiting: float) -> Facts | None:
    """A task takes a worker out of the pool, and until he is replaced his place is empty: load is arrivals times recruiting."""
    if not settings.tasks_per_hour:
        return None
    load = settings.tasks_per_hour / 3600 * recruiting
    if load > _LARGEST_LOAD:
        raise BadInput(
            f"--tasks-per-hour {settings.tasks_per_hour:g}: with {recruiting:g} s until a new worker is there the pool "
            "would have more than a million; take a lower --recruiting"
        )
    pool = pool_for(load, settings.lost)
    around = sorted(
        {max(1, round(pool * share)) for share in (0.5, 0.75, 0.9, 1, 1.1, 1.25)} | {pool - 1} - {0}
    )
    return {
        "load": load,
        "pool": pool,
        "lost": erlang_loss(load, pool),
        "around": [{"pool": one, "lost": erlang_loss(load, one)} for one in around],
    }


def _write(path: Path, head: list[str], rows: Any) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[f"{cell:.10g}" for cell in row] for row in rows])
    write_text(path, text.getvalue())
