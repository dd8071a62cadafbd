"""The table of the default against what is free: which strategy is the best free one, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.storage.tables import write_json
from tests.bench import bandit, cells, fits, results, tables
from tests.bench.cells import Cell

CELL = Cell("demo", "doctests")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Measurements of three strategies, two seeds each; the free ones are best by different measures."""
    figures = {"dsir": (0.5, 4.0), "tsds": (0.6, 3.9), "linucb": (0.4, 3.7), "oracle": (0.38, 3.75)}
    for (name, (transport, nll)), seed in ((one, seed) for one in figures.items() for seed in (0, 1)):
        key = {"corpus": CELL.corpus, "target": CELL.target, "budget": 0.05, "strategy": name, "seed": seed}
        row: dict[str, Any] = {"documents": 10, "tokens": 1000, "cost": 0.1, "pairs": 20}
        results.append(
            tmp_path, {**key, "kind": "selection", **row, "transport_heldout": transport + seed / 100}
        )
        results.append(tmp_path, {**key, "kind": fits.ALONE, "nll": nll + seed / 10})
    target = {"reference": 5, "test": 6}
    corpus = {"documents": 100, "tokens": 9000, "rejected": {}}
    write_json(cells.folder(CELL, tmp_path) / "facts.json", {"target": target, "corpus": corpus, "code": "x"})
    return tmp_path


def test_the_best_free_strategy_is_that_of_each_measure(out: Path) -> None:
    found = results.load(out)
    assert bandit.best_free(found, CELL, 0.05, bandit.transport) == "dsir"
    assert bandit.best_free(found, CELL, 0.05, bandit.loss) == "tsds"
    assert bandit.best_free(found, CELL, 0.1, bandit.loss) is None


def test_the_table_shows_what_is_measured(out: Path) -> None:
    text = bandit.markdown(bandit.options(["--out", str(out)]), [CELL, Cell("mixed-6000", "gsm8k")])
    lines = [line for line in text.splitlines() if line.startswith("| 5% |")]
    summary, *rows = [[word.strip() for word in line.strip("|").split("|")] for line in lines]
    assert summary[:6] == ["5%", CELL.name, "dsir", "**-0.100 ± 0.000**", "tsds", "**-0.200 ± 0.000**"]
    assert [row[1] for row in rows] == ["dsir", "tsds", "linucb", "oracle"]
    linucb = rows[2]
    assert linucb[6:9] == [
        tables.spread({0: 0.4, 1: 0.41}),
        "**+0.020 ± 0.000**",
        tables.spread({0: 3.7, 1: 3.8}),
    ]
    assert linucb[9] == "**-0.050 ± 0.000**"
    assert "mixed-6000" not in text  # nothing of it is prepared


def test_the_smaller_budget_is_compared_with_the_nearest_clusters_at_the_larger(out: Path) -> None:
    key = {"corpus": CELL.corpus, "target": CELL.target, "budget": 0.1, "strategy": "nearest-cluster"}
    for seed in (0, 1):
        results.append(out, {**key, "seed": seed, "kind": fits.ALONE, "nll": 3.75 + seed / 10})
    text = bandit.earlier(results.load(out), [CELL], bandit.options([]))
    row = [word.strip() for word in text.splitlines()[-1].strip("|").split("|")]
    assert row == ["5%", CELL.name, "", "**-0.050 ± 0.000**", ""]


def test_a_strategy_with_rounds_is_followed_along_its_largest_run_and_the_others_from_budget_to_budget(
    out: Path,
) -> None:
    key = {"corpus": CELL.corpus, "target": CELL.target, "seed": 0, "kind": "selection"}
    rounds = [[1, None], [2, 0.6], [4, 0.5], [10, 0.2]]
    results.append(
        out,
        {
            **key,
            "budget": 0.1,
            "strategy": "linucb",
            "transport_heldout": 0.2,
            "documents": 10,
            "course": rounds,
        },
    )
    for budget, cost in ((0.01, 0.5), (0.1, 0.3)):
        for name in ("dsir", "oracle"):
            less = 0.1 if name == "oracle" else 0.0
            row = {"transport_heldout": cost - less, "course": [[0, None], [100 * budget, cost - less]]}
            results.append(out, {**key, "budget": budget, "strategy": name, **row})
    given = bandit.options(["--out", str(out), "--curve", "0.01,0.03,0.1"])
    found = results.load(out)
    assert bandit.course(found, CELL, "linucb", given) == [(0.02, 0.6), (0.04, 0.5), (0.1, 0.2)]
    assert bandit.course(found, CELL, "dsir", given) == [(0.01, 0.5), (0.05, 0.5), (0.1, 0.3)]
    assert bandit.course(found, CELL, "random", given) == []
    text = bandit.curves(found, [CELL], given)
    assert f"| {CELL.name} | linucb |  | 0.550 | 0.200 |" in text
    page = (out / "regret.html").read_text(encoding="utf-8")
    assert "Regret on demo-doctests" in page
    assert "dsir" in page
