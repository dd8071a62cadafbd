"""The benchmark's books: measurements survive a kill, differences are paired, doubtful ones are not in bold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import results
from tests.bench.tables import difference, spread, table


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
