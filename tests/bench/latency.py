"""What straggler mitigation and pool maintenance do to latency, in a simulated crowd; and how often a forecast holds.

    python -m tests.bench.latency [--seeds 40] [--forecasts 100] [--page tests/bench/latency.md]

The crowd is a model, no recording: median 30 s a task, workers' paces log-normal with a standard deviation of .7 between workers and .5 from
task to task. 240 tasks in rounds; with pool maintenance who is surely slower than the median is replaced, and new workers come in a
Poisson stream, one a minute in the mean. The same seeds for every row. Latency is that of a round; its standard deviation is over rounds and
seeds, that of the whole over seeds. Paid answers are a multiple of those needed: mitigation also pays for answers that came too late.

The forecast: a model is fitted to the recorded times of ten workers with 11 answers each, or of forty with 6, and foretells how long other workers
of the same population will take for 100 tasks. Coverage is how often what then happens lies in its 90 % interval; `as if certain` is the same
without regard to how few workers the model was fitted to.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.crowd.latency.forecast import forecast
from tasks.crowd.latency.retainer import erlang_loss, pool_for
from tasks.crowd.latency.simulate import Plan, simulate
from tasks.crowd.latency.workers import ServiceModel, fit
from tasks.run.seeds import generator
from tasks.storage.tables import write_text
from tests.bench.markdown import table

MODEL = ServiceModel(median=30.0, between=0.7, within=0.5)
TASKS, CROWDS, REDUNDANCY = 240, ((5, 5), (15, 15), (15, 60)), (1, 3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--forecasts", type=int, default=100)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(argv)
    assert __doc__ is not None
    parts = ["# Latency", __doc__.split("\n\n", 2)[2].strip()]
    parts += [latencies(options.seeds), coverage(options.forecasts), retainer()]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.page:
        write_text(options.page, text)


def latencies(seeds: int) -> str:
    rows = []
    for pool, batch in CROWDS:
        for redundancy in REDUNDANCY:
            plain = Plan(tasks=TASKS, redundancy=redundancy, pool=pool, batch=batch)
            kinds = {
                "neither": plain,
                "straggler mitigation": replace(plain, mitigation=True),
                "pool maintenance": replace(plain, slowest=MODEL.median),
                "both": replace(plain, mitigation=True, slowest=MODEL.median),
            }
            base = 0.0
            for name, plan in kinds.items():
                courses = [simulate(MODEL, plan, generator(seed, "bench")) for seed in range(seeds)]
                rounds = np.array([course.rounds for course in courses])
                whole = np.array([course.done.max() for course in courses])
                base = base or rounds.mean()
                paid = np.mean([course.paid for course in courses]) / (TASKS * redundancy)
                rows.append(
                    [
                        f"pool of {pool}, {batch} tasks a round, {redundancy} answer{'s' if redundancy > 1 else ''} each",
                        name,
                        f"{rounds.mean():.0f}",
                        f"{rounds.std():.0f}",
                        f"{rounds.mean() / base:.2f}",
                        f"{whole.mean() / 60:.0f} ± {whole.std(ddof=1) / 60:.0f}",
                        f"{paid:.2f}",
                        f"{np.mean([course.replaced for course in courses]):.1f}",
                    ]
                )
    head = [
        "crowd",
        "with",
        "round, s",
        "standard deviation, s",
        "of neither",
        "all, min",
        "paid",
        "replaced",
    ]
    return "## Rounds\n\n" + table(head, rows)


def coverage(count: int) -> str:
    """A model fitted to times of one set of workers, and what another takes."""
    rows = []
    for name, plan in (
        ("all present, 1 answer a task", Plan(tasks=100, pool=10)),
        ("all present, 3 answers a task", Plan(tasks=100, redundancy=3, pool=10)),
        ("nobody present, 3 answers a task", Plan(tasks=100, redundancy=3, pool=10, present=0)),
    ):
        for workers, answers in ((10, 11), (40, 6)):
            found = []
            for seed in range(count):
                fitted = _recorded(workers, answers, generator(seed, "recorded", workers))
                end = float(simulate(MODEL, plan, generator(seed, "what happens")).done.max())
                low, middle, high = forecast(fitted, plan, seed=seed).interval
                least, _, most = forecast(replace(fitted, fitted=None), plan, seed=seed).interval
                found.append((low <= end <= high, least <= end <= most, middle / end, (high - low) / middle))
            held, certain, ratio, width = np.array(found, dtype=float).T
            rows.append(
                [
                    f"pool of 10, {name}",
                    f"{workers} workers",
                    _share(held),
                    _share(certain),
                    f"{ratio.mean():.2f} ± {ratio.std(ddof=1):.2f}",
                    f"{width.mean():.2f}",
                ]
            )
    head = [
        "campaign",
        "fitted to",
        "coverage",
        "as if certain",
        "median foretold / actual",
        "interval / median",
    ]
    return "## Forecast\n\n" + table(head, rows)


def _recorded(workers: int, answers: int, random: np.random.Generator) -> ServiceModel:
    """A model fitted to times of workers who came one after the other."""
    worker = np.repeat(np.arange(workers), answers)
    came = np.cumsum(random.exponential(3600 / MODEL.arrivals, workers))[worker]
    seconds = MODEL.paces(workers, random)[worker]
    seconds = seconds * np.exp(MODEL.within * random.standard_normal(len(worker)))
    return fit(worker, seconds, came)


def _share(held: np.ndarray) -> str:
    return f"{held.mean():.2f} ± {held.std() / np.sqrt(len(held)):.2f}"


def retainer() -> str:
    rows = [
        [f"{load:g}", f"{lost:.0%}", str(pool := pool_for(load, lost)), f"{erlang_loss(load, pool):.4f}"]
        for load in (1.0, 5.0, 20.0)
        for lost in (0.05, 0.01)
    ]
    head = ["load", "may be lost", "pool", "is lost"]
    return "## Retainer (Erlang's loss formula)\n\n" + table(head, rows)


if __name__ == "__main__":
    main()
