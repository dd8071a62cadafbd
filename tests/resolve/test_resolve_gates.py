"""The checks of `batcher` stop at what a later stage would take for sound, and name the rows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.match.read import Pairs
from tasks.resolve import gates
from tasks.resolve.finish import PREDICTIONS
from tasks.resolve.prepare import POOL, POOL_FEATURES, QUESTION_FEATURES, QUESTIONS, _save
from tasks.resolve.settings import BatcherSettings
from tasks.run.expectations import GateFailed
from tasks.storage.arrays import save_array

HEAD = ["ltable_id", "rtable_id", "probability", "match", "decided_by"]
SOUND = [
    ["a0", "b0", "0.9", "1", "matcher"],
    ["a1", "b1", "0.1", "0", "llm"],
    ["a2", "b2", "0.5", "0", "undecided"],
]


@pytest.fixture
def settings(tmp_path: Path) -> BatcherSettings:
    for name in ("a", "b"):
        lines = [f"{name}{row},{'' if row == 3 else f'thing {row}'}" for row in range(4)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,name", *lines]) + "\n")
    return BatcherSettings(left=str(tmp_path / "a.csv"), right=str(tmp_path / "b.csv"))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """A run's folder with questions 0-0, 1-1, 2-2, or others, and predictions of them."""

    def make(
        rows: tuple[int, ...] = (0, 1, 2), bad: float = 0.5, predictions: list[list[Any]] = SOUND
    ) -> Path:
        folder = tmp_path / "run"
        (folder / "stages").mkdir(parents=True)
        at = np.array(rows, dtype=np.int64)
        _save(folder / QUESTIONS, Pairs(at, at))
        _save(folder / POOL, Pairs(at[:1], at[:1], np.array([1], dtype=np.int8)))
        save_array(folder / QUESTION_FEATURES, np.array([[0.5]] * (len(rows) - 1) + [[bad]]))
        save_array(folder / POOL_FEATURES, np.array([[1.0]]))
        with (folder / PREDICTIONS).open("w", newline="") as stream:
            csv.writer(stream).writerows([HEAD, *predictions])
        return folder

    return make


def test_what_is_sound_passes_and_is_shown(run: Callable[..., Path], settings: BatcherSettings) -> None:
    folder = run()
    gates.pairs(folder, settings, {}, {})
    gates.predictions(folder, settings, {})
    index = (folder / "expectations/docs/index.html").read_text()
    assert all(f"expectations/{gate}.html" in index for gate in ("questions", "pool", "predictions"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": (0, 1, 1)}, r"gate 'questions' failed: .*unique.*a1, b1"),
        ({"rows": (0, 1, 3)}, r"gate 'questions' failed: .*characters.*1 of 3 rows fail: 'a3, b3'"),
        ({"bad": np.nan}, r"gate 'questions' failed: .*features_finite.*1 of 3 rows fail: 'a2, b2'"),
    ],
)
def test_pairs_that_cannot_be_compared(
    run: Callable[..., Path], settings: BatcherSettings, changes: Any, said: str
) -> None:
    with pytest.raises(GateFailed, match=said):
        gates.pairs(run(**changes), settings, {}, {})


@pytest.mark.parametrize(
    ("row", "resolve", "said"),
    [
        (["a2", "b2", "1.5", "0", "matcher"], "clusters", "probability"),
        (["a2", "b2", "0.5", "1", "undecided"], "clusters", "undecided_match"),
        (["a2", "b2", "0.5", "0", "nobody"], "clusters", "decided_by"),
        (["a0", "b0", "0.5", "0", "llm"], "clusters", "unique"),
        (["a2", "b0", "0.9", "1", "llm"], "one-to-one", r"partners.*2 of 3 rows fail: 'a0, b0', 'a2, b0'"),
    ],
)
def test_predictions_that_contradict_themselves(
    run: Callable[..., Path], settings: BatcherSettings, row: list[str], resolve: str, said: str
) -> None:
    given = settings.model_copy(update={"resolve": resolve})
    with pytest.raises(GateFailed, match=rf"gate 'predictions' failed: .*{said}"):
        gates.predictions(run(predictions=[*SOUND[:2], row]), given, {})


def test_a_comma_in_an_id_is_no_other_pair(run: Callable[..., Path], settings: BatcherSettings) -> None:
    rows = [["x, y", "z", "0.1", "0", "llm"], ["x", "y, z", "0.1", "0", "llm"], SOUND[2]]
    gates.predictions(run(predictions=rows), settings, {})


def test_a_question_without_a_prediction(run: Callable[..., Path], settings: BatcherSettings) -> None:
    with pytest.raises(GateFailed, match="table row count to equal"):
        gates.predictions(run(predictions=SOUND[:2]), settings, {})
