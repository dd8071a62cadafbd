"""Truth inference beside crowd-kit and the published figures: accuracy, CPU time and memory.

    python -m tests.bench.truth [--sets dog] [--out runs/bench-truth.jsonl] [--page tests/bench/truth.md]

Needs shared/data/crowd, and crowd-kit for the peer's rows. Every method runs in a process of its own; time is CPU time of fitting alone,
memory what the process grew by. MACE has three seeds here and one there (whose restarts are all alike); everything else is deterministic. Published figures are those of the
survey's authors ("Truth Inference in Crowdsourcing", VLDB 2017), from their release. Golden tasks are not given to anybody.

Where a published figure does not come out, the rows behind the methods say why. D&S and LFC as released stop after 20 steps, D&S from workers
who are right with .7; LFC has no prior there. CATD has next to no floor of errors, with which D_Product comes out; on dog ties of
the first votes then decide between .815 and .828 (10 orders of ties), and the published .8191 is one of these. GLAD has no prior in
fact, since its mean moves with the parameter; with next to none dog comes out, D_Product and duck_bluebird (108 tasks) do not.
crowd-kit's D&S stops long before it settles, which gives it four tasks more of 8,315 on D_Product and two of 4,460 on S_Rel; D&S here stops
with the very same after 80 steps. On S_Rel it has .617 where repeated rows stay in (`--one S_Rel crowd-kit "ds, repeated rows" 0`); here the first of
a worker's answers to a task counts for both. crowd-kit's GLAD stops as soon as its expected likelihood falls, on S_Rel after two steps (`--one S_Rel crowd-kit
glad 0`); GLAD here goes on to where the likelihood is greatest, and its labels are worse there for it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from inspect import cleandoc
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tasks.storage.tables import write_text
from tests.bench.markdown import table
from tests.bench.truth_runs import (
    AS_RELEASED,
    LARGE,
    NUMBERS,
    PUBLISHED,
    SETS,
    Key,
    key_of,
    measure,
    planned,
    rows_in,
    run,
    simulated,
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=[*SETS, NUMBERS, LARGE])
    parser.add_argument("--leave-out", nargs="*", default=[], help="methods, as crowd-kit/mmsr")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-truth.jsonl"))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--one", nargs=4, metavar=("SET", "LIBRARY", "METHOD", "SEED"))
    options = parser.parse_args(argv)
    if options.one:
        name, library, method, seed = options.one
        print(json.dumps(measure(name, library, method, int(seed))))
        return
    found = {key_of(row): row for row in rows_in(options.out)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for key in planned(options.sets):
        if key in found or f"{key[1]}/{key[2]}" in options.leave_out:
            continue
        found[key] = run(key)
        with options.out.open("a") as file:
            file.write(json.dumps(found[key]) + "\n")
        print(json.dumps(found[key]), flush=True)
    text = page(found)
    print(text)
    if options.page:
        write_text(options.page, text)


def page(found: dict[Key, dict[str, Any]]) -> str:
    """All tables."""
    parts = [__doc__.split("\n\n", 2)[2].strip()]
    parts += [_summary(found)]
    for name in SETS:
        parts.append(f"## {name}\n\n" + _set_table(found, name))
    parts.append(f"## {NUMBERS}\n\n" + _numbers_table(found))
    parts.append(f"## Simulated, 5 million answers\n\n{_large_table(found)}")
    return "# Truth inference\n\n" + "\n\n".join(parts) + "\n"


def _groups(found: dict[Key, dict[str, Any]], name: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    order = list(planned([name]))
    for row in sorted(
        found.values(), key=lambda row: order.index(key_of(row)) if key_of(row) in order else -1
    ):
        if row["set"] == name and key_of(row) in order:
            groups.setdefault((row["library"], row["method"]), []).append(row)
    return groups


def _summary(found: dict[Key, dict[str, Any]]) -> str:
    """The best of both libraries in each set."""
    rows = []
    for name in SETS:
        best: dict[str, tuple[float, str, float]] = {}
        for (library, method), group in _groups(found, name).items():
            values = [row["accuracy"] for row in group if "accuracy" in row]
            if values and method not in AS_RELEASED:
                one = mean(values), method, stdev(values) if len(values) > 1 else 0.0
                best[library] = max(best.get(library, (0.0, "", 0.0)), one)
        if len(best) == 2:
            ours, theirs = best["sluice"], best["crowd-kit"]
            rows.append(
                [
                    name,
                    f"{ours[1]} {ours[0]:.4f}",
                    f"{theirs[1]} {theirs[0]:.4f} ± {theirs[2]:.4f}",
                    f"{ours[0] - theirs[0]:+.4f}",
                ]
            )
    return "## The best of each\n\n" + table(["set", "best here", "best of crowd-kit", "difference"], rows)


def _set_table(found: dict[Key, dict[str, Any]], name: str) -> str:
    rows = []
    for (library, method), group in _groups(found, name).items():
        if "failed" in group[0]:
            rows.append([library, method, "failed: " + group[0]["failed"].partition(":")[0], "", "", "", ""])
            continue
        published = PUBLISHED.get((name, method.partition(",")[0])) if library == "sluice" else None
        rows.append(
            [
                library,
                method,
                _spread([row["accuracy"] for row in group], 5),
                _spread([row["f1"] for row in group], 5) if group[0]["f1"] is not None else "",
                " / ".join(f"{value:g}" for value in published if value is not None) if published else "",
                f"{mean(row['seconds'] for row in group):.2f}",
                f"{max(row['megabytes'] for row in group):,.0f}",
            ]
        )
    return table(["library", "method", "accuracy", "F1", "published", "CPU s", "MB"], rows)


def _numbers_table(found: dict[Key, dict[str, Any]]) -> str:
    rows = [
        [
            library,
            method,
            f"{group[0]['mae']:.3f}",
            f"{group[0]['rmse']:.3f}",
            " / ".join(f"{value:.3f}" for value in PUBLISHED.get((NUMBERS, method), ())),
        ]
        for (library, method), group in _groups(found, NUMBERS).items()
    ]
    return table(["library", "method", "mean absolute error", "root mean square error", "published"], rows)


def _large_table(found: dict[Key, dict[str, Any]]) -> str:
    rows = [
        [
            library,
            method,
            f"{group[0]['accuracy']:.4f}",
            str(group[0]["iterations"]),
            f"{group[0]['seconds']:.1f}",
            f"{group[0]['megabytes']:,.0f}",
        ]
        for (library, method), group in _groups(found, LARGE).items()
        if "accuracy" in group[0]
    ]
    head = ["library", "method", "accuracy", "iterations", "CPU s, with making the answers", "MB"]
    return cleandoc(simulated.__doc__ or "") + "\n\n" + table(head, rows)


def _spread(values: Sequence[float], digits: int) -> str:
    said = f"{mean(values):.{digits}f}"
    return said + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
