"""What straggler mitigation and pool maintenance do to latency, in a simulated crowd; and how often a forecast holds.

    python -m tests.bench.latency [--seeds 40] [--page tests/bench/latency.md]

The crowd is a model, no recording: median 30 s a task, workers' paces log-normal with a standard deviation of .7 between workers and .5 from
task to task. 240 tasks in rounds of as many as the pool has workers; with pool maintenance who is surely slower than the median is
replaced, in a minute in the mean. The same seeds for every row. Latency is that of a round; its spread is over rounds and seeds. Paid answers
are a multiple of those needed: mitigation also pays for answers that came too late.

The forecast: a model is fitted to the times of a first campaign (60 answers a worker-pool of ten), and foretells how long the next takes;
coverage is how often what then happens lies in its 90 % interval.
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
from tasks.run.tables import write_text
from tests.bench.markdown import table

MODEL = ServiceModel(median=30.0, between=0.7, within=0.5)
TASKS, POOLS, REDUNDANCY = 240, (5, 15), (1, 3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(argv)
    assert __doc__ is not None
    parts = ["# Latency", __doc__.split("\n\n", 2)[2].strip()]
    parts += [latencies(options.seeds), coverage(options.seeds), retainer()]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.page:
        write_text(options.page, text)


def latencies(seeds: int) -> str:
    rows = []
    for pool in POOLS:
        for redundancy in REDUNDANCY:
            plain = Plan(tasks=TASKS, redundancy=redundancy, pool=pool, batch=pool, recruiting=60.0)
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
                        f"pool of {pool}, {redundancy} answers a task",
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


def coverage(seeds: int) -> str:
    """A model fitted to times of one set of workers, and what another takes."""
    rows = []
    for pool, redundancy in ((10, 1), (10, 3)):
        plan = Plan(tasks=100, redundancy=redundancy, pool=pool)
        for workers in (10, 40):
            held, ratio = [], []
            for seed in range(seeds):
                random = generator(seed, "recorded", workers)
                worker = np.repeat(np.arange(workers), 60 // workers + 5)
                seconds = MODEL.paces(workers, random)[worker]
                seconds = seconds * np.exp(MODEL.within * random.standard_normal(len(worker)))
                low, middle, high = forecast(fit(worker, seconds), plan, runs=60, seed=seed).interval
                end = float(simulate(MODEL, plan, generator(seed, "what happens")).done.max())
                held.append(low <= end <= high)
                ratio.append(middle / end)
            rows.append(
                [
                    f"pool of {pool}, {redundancy} answers a task",
                    f"{workers} workers",
                    f"{np.mean(held):.2f} ± {np.std(held) / np.sqrt(seeds):.2f}",
                    f"{np.mean(ratio):.2f} ± {np.std(ratio, ddof=1):.2f}",
                ]
            )
    head = ["campaign", "fitted to", "coverage of the 90 % interval", "foretold / actual"]
    return "## Forecast\n\n" + table(head, rows)


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
