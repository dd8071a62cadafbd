"""The bench of answers by a model: the commands that it starts, and the table of what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bench import answered
from tests.bench.er import BENCHMARKS

BEER = BENCHMARKS[0]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets, with one that is empty but for its right table."""
    monkeypatch.setattr(answered, "FOLDER", tmp_path)
    (tmp_path / BEER.name).mkdir()
    (tmp_path / BEER.name / "tableB.csv").touch()
    return tmp_path


def test_a_point_is_begun_once_and_then_goes_on(place: Path) -> None:
    given = answered.options().parse_args(["--llm-url", "http://x/v1", "--model", "m"])
    point = answered.POINTS["one-by-one-fixed"]
    begun = answered.command(BEER, point, place / "runs", given)
    assert begun[begun.index("--run") + 1] == point.name
    assert begun[begun.index("--batch-size") + 1] == "1"
    assert begun[begun.index("--attributes") :][1:3] == list(BEER.attributes)
    (place / "runs" / "batcher" / point.name).mkdir(parents=True)
    resumed = answered.command(BEER, point, place / "runs", given)
    assert resumed[resumed.index("--resume") + 1] == point.name
    assert "--left" not in resumed


def test_the_table_has_what_is_done_beside_the_matcher_and_the_paper(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "out" / "m" / BEER.name / "batcher" / "diversity-covering"
    run.mkdir(parents=True)
    summary = {
        **{"questions": 4, "labels_used": 2, "f1": 0.5, "precision": 0.25, "recall": 1.0, "undecided": 1},
        **{
            "requests": 3,
            "batches": 1,
            "tokens_in": 400,
            "tokens_out": 40,
            "seconds": {"ask the model": 2.0},
        },
    }
    (run / "summary.json").write_text(json.dumps(summary))
    rows = [
        {"matcher_probability": p, "truth": truth} for p, truth in ((0.9, True), (0.6, False), (0.1, False))
    ]
    pq.write_table(pa.Table.from_pylist(rows), run / "explanations.parquet")
    assert answered.main(["--model", "m", "--out", str(place / "out"), "--only", "beer"]) == 0
    (line,) = capsys.readouterr().out.splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        *("beer", "diversity + covering", "2", "50.0", "25.0", "100.0", "1", "3", "2", "100", "10.0", "0.5"),
        *("66.7", "96.5"),
    ]


def test_every_point_of_the_paper_is_measured() -> None:
    assert len(answered.POINTS) == 16 + 2  # those of the paper, and smaller batches
    assert set(answered.PUBLISHED) <= set(answered.POINTS)
    assert tuple(one.name for one in BENCHMARKS) == answered.PUBLISHED_ON
