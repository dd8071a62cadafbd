"""Fit the model of workers, simulate the campaign and what would shorten it, size the pool that waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.formats import given_with
from tasks.corpus.rows import REJECTS
from tasks.crowd.latency.forecast import Forecast, forecast
from tasks.crowd.latency.retainer import erlang_loss, pool_for
from tasks.crowd.latency.settings import LatencySettings
from tasks.crowd.latency.simulate import Plan
from tasks.crowd.latency.times import read_times
from tasks.crowd.latency.workers import ServiceModel, fit
from tasks.records import BadInput
from tasks.run import terminal
from tasks.run.folder import versions
from tasks.storage.sheets import write_csv
from tasks.storage.tables import REJECTED, write_table

Facts = dict[str, Any]

_ASSUMED = ServiceModel(median=30.0, between=0.7, within=0.5)

COMPLETION, COURSES = "completion.csv", "campaigns.csv"
_LARGEST_LOAD = 1e6  # workers; Erlang's recursion takes as many steps


def model(run: Path, settings: LatencySettings, source: Facts) -> Facts:
    """How long workers take: fitted to times, or as it is given."""
    if not settings.times:
        return {
            "files": [],
            **_shown_model(settings, _assumed(settings)),
            "rejected": 0,
        }
    times = read_times(settings.times, settings.max_broken)
    with given_with(f"--times {settings.times}:"):
        found = fit(np.asarray(times.worker, dtype=object), times.seconds, times.started)
    write_table(run / REJECTS, (reject.row for reject in times.rejected), REJECTED)
    return {
        "files": [REJECTS],
        **_shown_model(settings, found),
        "rejected": len(times.rejected),
    }


def simulate(run: Path, settings: LatencySettings, fitted: Facts) -> Facts:
    """When the campaign will be done, and what it will be paid; the same with mitigation, maintenance and both."""
    workers = _model_of(fitted)
    retainer = _retainer(settings, workers)
    plan = _plan_of(settings)
    finished = count(1)

    def tell() -> None:
        terminal.current().progress("campaigns", next(finished))

    expected = forecast(workers, plan, settings.runs, settings.seed, tell=tell)
    write_csv(
        run / COMPLETION,
        ["share", "low", "middle", "high"],
        _cells(zip(expected.share, expected.low, expected.middle, expected.high, strict=True)),
    )
    write_csv(
        run / COURSES,
        ["seconds", "paid", "replaced"],
        _cells([float(one.done.max()), one.paid, one.replaced] for one in expected.courses),
    )
    others = []
    for name, made in _alternatives(plan, workers, settings).items():
        own = made == plan
        other = expected if own else forecast(workers, made, settings.runs, settings.seed, tell=tell)
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


def _assumed(settings: LatencySettings) -> ServiceModel:
    given = {name: getattr(settings, name) for name in ("median", "between", "within")}
    return replace(_ASSUMED, **{name: value for name, value in given.items() if value is not None})


def _plan_of(settings: LatencySettings) -> Plan:
    return Plan(
        settings.tasks,
        settings.redundancy,
        settings.pool,
        settings.batch or None,
        settings.mitigation,
        settings.slowest,
        settings.recruiting,
        settings.present,
    )


def _shown_model(settings: LatencySettings, workers: ServiceModel) -> Facts:
    facts = {**asdict(workers), "mean": workers.mean, "recruiting": _plan_of(settings).gap(workers)}
    facts["workers"], facts["answers"] = facts.pop("fitted") or (0, 0)
    return facts


def _model_of(fitted: Facts) -> ServiceModel:
    to = (fitted["workers"], fitted["answers"]) if fitted["answers"] else None
    return ServiceModel(fitted["median"], fitted["between"], fitted["within"], fitted["arrivals"], to)


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


def _retainer(settings: LatencySettings, workers: ServiceModel) -> Facts | None:
    """Load is tasks' arrivals times how long each leaves a place empty; of the latter only the mean matters."""
    if not settings.tasks_per_hour:
        return None
    away = workers.mean if settings.away is None else settings.away
    load = settings.tasks_per_hour / 3600 * away
    if load > _LARGEST_LOAD:
        raise BadInput(
            f"--tasks-per-hour {settings.tasks_per_hour:g}: with places empty for {away:g} s the pool would have more "
            "than a million workers; take fewer, or a lower --away"
        )
    pool = pool_for(load, settings.lost)
    around = sorted(
        {max(1, round(pool * share)) for share in (0.5, 0.75, 0.9, 1, 1.1, 1.25)} | {pool - 1} - {0}
    )
    return {
        "load": load,
        "away": away,
        "pool": pool,
        "lost": erlang_loss(load, pool),
        "around": [{"pool": one, "lost": erlang_loss(load, one)} for one in around],
    }


def _cells(rows: Iterable[Iterable[float]]) -> Iterator[list[str]]:
    return ([f"{cell:.10g}" for cell in row] for row in rows)
