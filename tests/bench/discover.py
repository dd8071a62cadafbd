"""Entity collection from a simulated crowd: how far estimates of the number are off, and where stop rules stop.

    python -m tests.bench.discover [--seeds 20] [--out runs/bench-discover.jsonl] [--page tests/bench/discover.md]

Workers each list entities without repeating any, drawn by Zipf laws from 300 entities; in half of the crowds two further workers give 150 answers each in
one go. The number is estimated after 200, 400, 800 and 1,600 answers as `sluice crowd discover` does (Chao92, but no less than Chao84, both corrected for
streakers), and by plain Chao92, Chao84 and c / coverage (Good and Turing). Stop rules are asked after every 40 answers; what they leave is judged by the
true shares of the population.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from tasks.crowd.discover.collect import Stop, collect
from tasks.crowd.discover.estimate import by_coverage, chao84, chao92, counts_of, estimate, named
from tasks.storage.tables import write_text
from tests.bench.markdown import table
from tests.crowd.discover.zipf import Named, named_by_crowd

Facts = dict[str, Any]

ENTITIES, EACH, WORKERS, STREAK = 300, 10.0, 400, 150
EXPONENTS = (0.0, 0.5, 0.8, 1.1)
SAMPLES = (200, 400, 800, 1600)
BATCH = 40
ESTIMATES: dict[str, Callable[[Any], float]] = {
    "chao92": lambda counts: float(chao92(counts)),
    "chao84": lambda counts: float(chao84(counts)),
    "c / coverage": lambda counts: float(by_coverage(counts)),
}
OURS = "sluice"
STOPS = {
    "coverage, lower bound": Stop(coverage=0.9),
    "coverage, lower bound, uncorrected": Stop(coverage=0.9, for_streakers=False),
    "coverage, point": Stop(coverage=0.9, sure=1e-9),
    "entities, lower bound": Stop(coverage=0.9, of="entities"),
    "entities, point": Stop(coverage=0.9, of="entities", sure=1e-9),
    "price a tenth of the value": Stop(coverage=0.9999, price=0.1, value=1.0),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-discover.jsonl"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found = (
        [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    )
    done = {(row["exponent"], row["streakers"], row["seed"]) for row in found}
    for seed in range(options.seeds):
        for exponent in EXPONENTS:
            for streakers in (0, 2):
                if (exponent, streakers, seed) in done:
                    continue
                found.append(measure(exponent, streakers, seed))
                with options.out.open("a") as file:
                    file.write(json.dumps(found[-1]) + "\n")
        print(seed, flush=True)
    text = page(found)
    print(text)
    if options.page:
        write_text(options.page, text)


def measure(exponent: float, streakers: int, seed: int) -> Facts:
    """One crowd: every estimate after every sample, every stop rule."""
    crowd = named_by_crowd(seed, ENTITIES, exponent, WORKERS, EACH, streakers, STREAK)
    samples = {str(taken): estimates(crowd, taken) for taken in SAMPLES}
    stops = {}
    for name, stop in STOPS.items():
        taken, why = collect(crowd.worker, crowd.entity, stop, BATCH)
        stops[name] = {
            "answers": taken,
            "stopped": bool(why),
            "coverage": crowd.coverage(taken),
            "completeness": crowd.completeness(taken),
        }
    return {"exponent": exponent, "streakers": streakers, "seed": seed, "samples": samples, "stops": stops}


def estimates(crowd: Named, taken: int) -> Facts:
    """Every estimate of the number after so many answers, and whether the intervals hold what is true."""
    people = np.unique(crowd.worker[:taken], return_inverse=True)[1]
    whole = named(people, crowd.entity[:taken])
    counts = counts_of(np.asarray(whole.sum(axis=0)).ravel())
    found = estimate(whole)
    said = {name: function(counts) for name, function in ESTIMATES.items()} | {OURS: found.number}
    return {
        "number": said,
        "number_held": bool(found.number_low <= ENTITIES <= found.number_high),
        "coverage_held": bool(found.coverage_low <= crowd.coverage(taken) <= found.coverage_high),
        "coverage_error": found.coverage - crowd.coverage(taken),
    }


def page(found: list[Facts]) -> str:
    """All tables."""
    seeds = len({row["seed"] for row in found})
    parts = [
        __doc__.split("\n\n", 2)[2].strip(),
        f"{seeds} seeds, mean ± standard deviation; the target of the stop rules is 90 %.",
    ]
    parts += [f"## The number: error in percent of {ENTITIES}", _error_table(found)]
    parts += ["## Intervals of 95 % that hold the truth, in percent", _held_table(found)]
    parts += ["## Where stop rules stop", _stop_table(found)]
    return "# Entity collection\n\n" + "\n\n".join(parts) + "\n"


def _groups(found: list[Facts]) -> list[tuple[str, str, list[Facts]]]:
    return [
        (f"{exponent:g}", "two" if streakers else "none", rows)
        for streakers in (0, 2)
        for exponent in EXPONENTS
        if (rows := [row for row in found if (row["exponent"], row["streakers"]) == (exponent, streakers)])
    ]


def _error_table(found: list[Facts]) -> str:
    """Signed errors; of those that are not finite the table says how many there are."""
    rows = []
    for exponent, streakers, group in _groups(found):
        for name in (OURS, *ESTIMATES):
            cells = []
            for taken in SAMPLES:
                away = [100 * (row["samples"][str(taken)]["number"][name] / ENTITIES - 1) for row in group]
                finite = [value for value in away if np.isfinite(value)]
                missing = f", {len(away) - len(finite)} infinite" if len(finite) < len(away) else ""
                cells.append(_spread(finite, "+.0f") + missing)
            rows.append([exponent, streakers, name, *cells])
    return table(
        ["Zipf exponent", "streakers", "estimate", *(f"{taken:,} answers" for taken in SAMPLES)], rows
    )


def _held_table(found: list[Facts]) -> str:
    rows = []
    for exponent, streakers, group in _groups(found):
        for name, title in (("coverage_held", "coverage"), ("number_held", "number")):
            cells = [
                f"{100 * mean(row['samples'][str(taken)][name] for row in group):.0f}" for taken in SAMPLES
            ]
            rows.append([exponent, streakers, title, *cells])
    return table(["Zipf exponent", "streakers", "of", *(f"{taken:,} answers" for taken in SAMPLES)], rows)


def _stop_table(found: list[Facts]) -> str:
    rows = []
    for exponent, streakers, group in _groups(found):
        for name in STOPS:
            stops = [row["stops"][name] for row in group]
            rows.append(
                [
                    exponent,
                    streakers,
                    name,
                    _spread([stop["answers"] for stop in stops], ",.0f"),
                    _spread([100 * stop["coverage"] for stop in stops], ".1f"),
                    _spread([100 * stop["completeness"] for stop in stops], ".1f"),
                    f"{100 * mean(_reached(name, stop) for stop in stops):.0f}",
                    str(sum(not stop["stopped"] for stop in stops)),
                ]
            )
    head = [
        "Zipf exponent",
        "streakers",
        "stop by",
        "answers",
        "true coverage, %",
        "true completeness, %",
        "target reached, % of runs",
        "never stopped",
    ]
    return table(head, rows)


def _reached(name: str, stop: Facts) -> bool:
    return bool(stop["completeness" if name.startswith("entities") else "coverage"] >= 0.9)


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return "–"
    return f"{mean(values):{form}}" + (f" ± {stdev(values):{form.lstrip('+')}}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
