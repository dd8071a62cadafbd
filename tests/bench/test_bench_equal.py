"""What the benchmark measures: nothing twice, nothing beside what OUT holds, students of equal length."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench import cells, equal, fits, measure, results, selections
from tests.bench.cells import Cell

CELLS = [Cell("demo", "doctests"), Cell("mixed-6000", "svamp")]
STRATEGIES = ["random", "everything", "ucb-prior"]


def options(*more: str, out: Path = Path("out")) -> Any:
    return equal.options(
        ["--budgets", "0.05,0.1", "--strategies", ",".join(STRATEGIES), "--out", str(out), *more]
    )


def planned(done: set[results.Key], *more: str) -> list[results.Key]:
    """Keys of the measurements that the planned jobs make."""
    keys: list[results.Key] = []

    def of(cell: Cell, budget: float, strategy: str, seed: int, kind: str) -> results.Key:
        return cell.corpus, cell.target, budget, strategy, seed, kind

    for phase in measure.jobs(options(*more), CELLS, done):
        for function, given in phase:
            if function is selections.select:
                _, cell, budget, seed, names, _ = given
                keys += [of(cell, budget, name, seed, "selection") for name in names]
            elif function is selections.select_everything:
                _, cell, seeds = given
                keys += [of(cell, 1.0, "everything", seed, "selection") for seed in seeds]
            elif function is fits.make_base:
                _, cell, seed = given
                keys.append(of(cell, 0.0, "base", seed, fits.ALONE))
            elif function is fits.train_students:
                _, cell, seed, wanted, _ = given
                keys += [of(cell, budget, name, seed, kind) for budget, name, kind in wanted]
            else:
                assert function is cells.prepare_cell
    return keys


def test_every_measurement_is_planned_once() -> None:
    keys = planned(set())
    assert max(Counter(keys).values()) == 1
    kinds = Counter((strategy, kind) for _, _, _, strategy, _, kind in keys)
    cell_seeds, cell_students = 2 * 5, 2 * 3
    assert kinds == {
        ("random", "selection"): 2 * cell_seeds,
        ("ucb-prior", "selection"): 2 * cell_seeds,
        ("everything", "selection"): cell_seeds,
        ("base", fits.ALONE): cell_students,
        ("reference", fits.ALONE): cell_students,  # and no mixture of the reference with itself
        ("everything", fits.OWN_END): cell_students,
        **{("everything", kind): cell_students for kind in (fits.ALONE, fits.MIXED)},
        **dict.fromkeys(product(("random", "ucb-prior"), (fits.ALONE, fits.MIXED)), 2 * cell_students),
    }


def test_what_is_measured_is_not_planned_again() -> None:
    everything = planned(set())
    assert planned(set(everything)) == []
    done = set(everything[::2])
    assert sorted(planned(done)) == sorted(set(everything) - done)


def test_a_mixture_is_half_selection_and_half_reference() -> None:
    selection = [(f"selection {n}", "s" * (10 + n % 7)) for n in range(500)]
    reference = [(f"reference {n}", "r" * (10 + n % 5)) for n in range(20)]  # 240 tokens: several passes

    def measure(pairs: fits.QA) -> np.ndarray:
        return np.array([len(answer) for _, answer in pairs])

    drawn = fits.mixture(selection, reference, 2001, 0, measure)
    sizes = [sum(len(answer) for _, answer in drawn if answer[0] == part) for part in "sr"]
    assert 1001 <= sizes[0] < 1001 + 17
    assert 1000 <= sizes[1] < 1000 + 15
    uses = Counter(pair for pair in drawn if pair in reference)
    assert set(uses) == set(reference)
    assert max(uses.values()) - min(uses.values()) == 1  # whole passes, and a part of one
    assert drawn == fits.mixture(selection, reference, 2001, 0, measure)
    assert drawn != fits.mixture(selection, reference, 2001, 1, measure)
    assert {answer[0] for _, answer in fits.mixture([], reference, 2001, 0, measure)} == {"r"}


def test_students_of_every_kind_are_trained_for_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: dict[tuple[str, str], int] = {}
    pairs = [("question", "answer")] * 50

    def fit(out: Path, cell: Cell, seed: int, pairs: fits.QA, tokens: int) -> dict[str, Any]:
        return {"nll": 1.0, "tokens": tokens}

    def append(out: Path, row: dict[str, Any]) -> None:
        trained[row["strategy"], row["kind"]] = row["tokens"]

    monkeypatch.setattr(fits, "fit", fit)
    monkeypatch.setattr(fits, "kept", lambda *given: pairs)
    monkeypatch.setattr(fits, "_reference", lambda *given: pairs[:5])
    monkeypatch.setattr(fits, "lengths", lambda out, cell, seed, pairs: np.full(len(pairs), 9))
    monkeypatch.setattr(fits.results, "append", append)
    wanted = [
        (0.0, "reference", fits.ALONE),
        (0.05, "random", fits.ALONE),
        (0.05, "random", fits.MIXED),
        (1.0, "everything", fits.OWN_END),
    ]
    fits.train_students(Path("out"), CELLS[0], 0, wanted, 1000)
    assert trained.pop(("everything", fits.OWN_END)) == 450
    assert set(trained.values()) == {1000}
    assert len(trained) == 3


def test_a_folder_of_other_settings_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--out", str(tmp_path), "--table", "--corpora", "demo"]
    assert equal.main([*given, "--train-tokens", "500"]) == 0
    assert equal.main([*given, "--train-tokens", "500"]) == 0
    capsys.readouterr()
    assert equal.main([*given, "--train-tokens", "900"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "train_tokens 500, not 900" in said.err
    assert not said.out


def test_measurements_that_do_not_say_their_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("{}\n")
    assert equal.main(["--out", str(tmp_path), "--table"]) == 2


def test_the_fingerprint_is_of_the_source_that_makes_measurements(tmp_path: Path) -> None:
    def print_of(**files: str) -> str:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        results.fingerprint.cache_clear()
        return results.fingerprint(tmp_path)

    makers = dict.fromkeys((f"tests__bench__{name}" for name in results._MAKERS), "")
    first = print_of(tasks__select__bandit="a", **makers)
    assert print_of(tests__bench__tables="changed") == first
    assert print_of(tasks__select__bandit="b") != first
    assert print_of(tasks__select__bandit="a") == first
    assert print_of(tests__bench__fits="changed") != first
