"""The benchmark's books: measurements survive a kill, differences are paired, doubtful ones are not in bold."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import fits, results
from tests.bench.cells import Cell, folder
from tests.bench.markdown import table
from tests.bench.tables import difference, row_of, spread, summary, versions

CELL = Cell("demo", "doctests")


def row(seed: int, **figures: Any) -> dict[str, Any]:
    return {
        "corpus": "demo",
        "target": "doctests",
        "budget": 0.05,
        "strategy": "ucb",
        "seed": seed,
        "kind": "selection",
        **figures,
    }


def test_half_a_line_left_by_a_kill_costs_only_that_measurement(tmp_path: Path) -> None:
    results.append(tmp_path, row(0, pairs=10))
    with (tmp_path / "results.jsonl").open("a") as stream:
        stream.write('{"corpus": "demo", "tar')
    results.append(tmp_path, row(2, pairs=12))
    found = results.load(tmp_path)
    assert [one["pairs"] for one in found.values()] == [10, 12]
    assert ("demo", "doctests", 0.05, "ucb", 1, "selection") not in found


def test_a_measurement_made_again_replaces_the_first(tmp_path: Path) -> None:
    results.append(tmp_path, row(0, pairs=10))
    results.append(tmp_path, row(0, pairs=11))
    assert [one["pairs"] for one in results.load(tmp_path).values()] == [11]


def test_differences_pair_the_seeds_both_have() -> None:
    # Seeds differ far more than strategies do: unpaired, this difference would drown.
    ours, theirs = {0: 4.00, 1: 5.00, 2: 6.00}, {0: 4.11, 1: 5.09, 2: 6.10, 7: 0.0}
    assert difference(ours, theirs) == "**-0.100 ± 0.006**"


def test_a_difference_within_two_standard_errors_is_not_bold() -> None:
    assert difference({0: 1.0, 1: 1.0}, {0: 1.1, 1: 0.98}) == "-0.040 ± 0.060"
    assert difference({0: 1.0}, {1: 1.0}) == ""


def test_spread_is_the_deviation_between_seeds() -> None:
    assert spread({0: 1.0, 1: 3.0}) == "2.000 ± 1.414"


def test_tables_are_markdown() -> None:
    assert table(["a", "b", "c"], [["x", "y", "1"]]) == "| a | b | c |\n| --- | --- | ---: |\n| x | y | 1 |"


def found_of(*rows: dict[str, Any]) -> dict[results.Key, dict[str, Any]]:
    return {results.key(one): one for one in rows}


def student(strategy: str, budget: float, kind: str, nll: dict[int, float]) -> list[dict[str, Any]]:
    return [
        row(seed, strategy=strategy, budget=budget, kind=kind, nll=value, seconds=10.0 + seed)
        for seed, value in nll.items()
    ]


def selection(strategy: str, budget: float, tokens: dict[int, int]) -> list[dict[str, Any]]:
    costs = {"cost": 0.5, "pairs": 10, "transport_heldout": 0.25, "seconds": 3.0, "seconds_extracting": 7.0}
    return [
        row(seed, strategy=strategy, budget=budget, tokens=count, **costs) for seed, count in tokens.items()
    ]


OURS = {0: 3.11, 1: 3.92, 2: 2.54, 3: 9.0}
RANDOM = {0: 3.40, 2: 2.97, 1: 4.15}
MIXED = {0: 2.10, 1: 2.95, 2: 2.42}
REFERENCE = {2: 2.31, 1: 3.05, 0: 2.25}


def by_hand(ours: dict[int, float], theirs: dict[int, float]) -> str:
    both = sorted(set(ours) & set(theirs))
    apart = np.array([ours[seed] for seed in both]) - np.array([theirs[seed] for seed in both])
    error = np.std(apart, ddof=1) / math.sqrt(len(apart))
    text = f"{apart.mean():+.3f} ± {error:.3f}"
    return f"**{text}**" if abs(apart.mean()) > 2 * error else text


def test_a_row_compares_with_the_same_seeds_of_the_others() -> None:
    found = found_of(
        *selection("ucb-prior", 0.05, {0: 100, 1: 300}),
        *student("ucb-prior", 0.05, fits.ALONE, OURS),
        *student("ucb-prior", 0.05, fits.MIXED, MIXED),
        *student("random", 0.05, fits.ALONE, RANDOM),
        *student("random", 0.1, fits.ALONE, {0: 0.0, 1: 0.0, 2: 0.0}),  # another budget's
        *student("everything", 1.0, fits.ALONE, {1: 4.0}),
        *student("reference", 0.0, fits.ALONE, REFERENCE),
    )
    assert row_of(found, CELL, 0.05, "ucb-prior") == [
        "5%",
        "ucb-prior",
        "200",
        "0.500",
        "10",
        "0.250 ± 0.000",
        "3.0",
        "7.0",
        "11.5",
        f"{np.mean(list(OURS.values())):.3f} ± {np.std(list(OURS.values()), ddof=1):.3f}",
        "",  # no nearest cluster
        by_hand(OURS, RANDOM),
        "-0.080",  # one seed alone has no standard error
        f"{np.mean(list(MIXED.values())):.3f} ± {np.std(list(MIXED.values()), ddof=1):.3f}",
        by_hand(MIXED, REFERENCE),
    ]
    assert by_hand(OURS, RANDOM).startswith("**-0.317")
    assert row_of(found, CELL, 0.05, "random")[11] == ""  # not compared with itself


def test_the_summary_says_what_the_compared_strategies_read() -> None:
    found = found_of(
        *selection("ucb-prior", 0.05, {0: 100, 1: 300, 2: 999}),
        *selection("random", 0.05, {0: 50, 1: 150, 4: 1}),
        *selection("everything", 1.0, {0: 4000, 1: 4000}),
        *student("ucb-prior", 0.05, fits.ALONE, OURS),
        *student("random", 0.05, fits.ALONE, RANDOM),
    )
    options = argparse.Namespace(budgets=[0.1, 0.05])
    assert summary(found, [CELL], options).splitlines()[-1] == (
        f"| 5% | demo | doctests | {by_hand(OURS, RANDOM)} |  |  |  |  | 0.50 / 20.00 / ? / ? / ? |"
    )


def test_tables_name_the_versions_of_the_code_where_there_are_several(tmp_path: Path) -> None:
    options = argparse.Namespace(out=tmp_path)
    new, old = row(0, code="new"), row(1)
    elsewhere = row(2, corpus="mixed-6000", code="other")
    assert versions(found_of(new, elsewhere), [CELL], options) == ""
    assert versions(found_of(new, row(3, code="new"), old), [CELL], options).endswith(
        ": new (2), unknown (1)."
    )
    folder(CELL, tmp_path).mkdir(parents=True)
    (folder(CELL, tmp_path) / "facts.json").write_text(json.dumps({"code": "older"}))
    assert versions(found_of(new), [CELL], options).endswith(": new (1), older (1).")


def test_a_measurement_says_which_code_made_it(tmp_path: Path) -> None:
    results.append(tmp_path, row(0, pairs=10))
    assert [one["code"] for one in results.load(tmp_path).values()] == [results.fingerprint()]
