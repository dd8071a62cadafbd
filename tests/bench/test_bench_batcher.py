"""BATCHER's benchmark on a made-up data set: its tables, its oracles, and what the authors do with missing values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tasks.match.cover import cover_of
from tests.bench import batcher
from tests.bench.er import BENCHMARKS, Benchmark, Data, filled, load
from tests.bench.er_labels import coverings, exact_cover, integer_programme
from tests.bench.er_matcher import Learnt, learnt, routed
from tests.bench.er_prompts import ASK, TASK, design_points, repeated_share
from tests.match.conftest import pairs, table

MADE_UP = Benchmark("made-up", ("title", "maker"), True, 1, 5, 1.0, 50.0, 40.0)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """30 records a side, of which those of one number match; 60 pairs to learn from, 30 to ask about."""
    random = np.random.default_rng(0)
    titles = ["".join(random.choice(list("abcdefgh"), size=12)) for _ in range(30)]
    folder = tmp_path / "made-up"
    folder.mkdir()
    for side, ending in (("A", ""), ("B", " x")):
        lines = [
            f"{row},{title}{ending},{'' if row % 3 and side == 'B' else 'maker'}"
            for row, title in enumerate(titles)
        ]
        (folder / f"table{side}.csv").write_text("\n".join(["\ufeffid,title,maker", *lines]) + "\n")
    for name, rows in (("train", 40), ("valid", 20), ("test", 30)):
        lines = []
        for _ in range(rows):
            left = int(random.integers(30))
            right = left if random.random() < 0.3 else int(random.integers(30))
            lines.append(f"{left},{right},{int(left == right)}")
        (folder / f"{name}.csv").write_text("\n".join(["ltable_id,rtable_id,label", *lines]) + "\n")
    found = load(MADE_UP, tmp_path)
    assert found is not None
    return found


def cells(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_data_that_is_not_there_is_left_out_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batcher, "load", lambda benchmark: load(benchmark, tmp_path))
    monkeypatch.setattr("sys.argv", ["batcher", "--output", str(tmp_path / "page.md")])
    batcher.main()
    assert len(capsys.readouterr().err.splitlines()) == len(BENCHMARKS)
    assert not (tmp_path / "page.md").exists()


def test_every_design_point_is_a_row_beside_one_by_one(data: Data) -> None:
    points = design_points(data)
    rows = cells(batcher.points_table(points, MADE_UP))
    assert len(rows) == 2 + 1 + 15 + 1
    assert len({len(row) for row in rows}) == 1
    assert rows[2][:2] == ["one by one", "fixed"]
    assert {tuple(row[:2]) for row in rows[3:-1]} == {
        (batching, selection)
        for batching in ("random", "similarity", "diversity")
        for selection in ("fixed", "topk-batch", "topk-question", "covering", "all")
    }
    one = points[0]
    assert (one.batches, one.demonstrations) == (30, 30 * 8)
    # Eight questions share a task and eight demonstrations that each had for itself.
    fixed = next(point for point in points if (point.batching, point.selection) == ("random", "fixed"))
    assert fixed.batches == 4
    assert 3 < one.per_question / fixed.per_question < 8


def test_a_prompt_has_its_task_its_demonstrations_and_its_questions(data: Data) -> None:
    from tasks.match.demonstrations import select_demonstrations
    from tests.bench.er_prompts import prompts

    texts = [["A: q0\nB: q0", "A: q1\nB: q1", "A: q2\nB: q2"], ["A: d0\nB: d0", "A: d1\nB: d1"]]
    batches = [np.array([2, 0]), np.array([1])]
    chosen = select_demonstrations("fixed", np.zeros((3, 1)), np.ones((2, 1)), batches)
    first, second = prompts(texts, batches, chosen)
    for prompt in (first, second):
        assert prompt.startswith(TASK)
        assert prompt.endswith(ASK)
        assert re.findall(r"A: (\w+)", prompt)[:2] == ["d0", "d1"]
    assert re.findall(r"A: (\w+)", first)[2:] == ["q2", "q0"]
    assert re.findall(r"A: (\w+)", second)[2:] == ["q1"]


def test_repeated_is_what_a_prompt_begins_with_as_the_one_before() -> None:
    assert repeated_share(["abcd", "abxy", "zzzz"]) == pytest.approx(2 / 12)


def test_missing_values_are_filled_with_words_of_the_first_attribute() -> None:
    left = table(title=["photo studio nova 3"], maker=[""])
    right = table(title=["photo studio"], maker=["nova inc"])
    made = Data(MADE_UP, left, right, pairs((0, 0)), pairs((0, 0)), pairs((0, 0)))
    ours, theirs, some = filled(made, pairs((0, 0), labels=[1]), ["title", "maker"])
    assert ours.columns == {"title": ["photo studio 3"], "maker": ["nova"]}
    assert theirs.columns == {"title": ["photo studio"], "maker": ["nova inc"]}
    assert (some.left.tolist(), some.right.tolist()) == ([0], [0])


@pytest.mark.parametrize("seed", range(4))
def test_the_sweep_over_one_feature_is_as_good_as_the_integer_programme(seed: int) -> None:
    random = np.random.default_rng(seed)
    questions, pool = random.random((60, 1)), random.random((40, 1))
    cover = cover_of(questions, pool, percentile=5)
    matrix = cover.matrix.toarray()
    assert exact_cover(cover, questions, pool) == integer_programme(matrix[matrix.any(axis=1)])


def test_coverings_are_measured_by_every_way_to_compare(data: Data) -> None:
    found = coverings(data)
    assert [one.theirs for one in found] == [False, False, False, True]
    for one in found:
        assert one.exact is not None
        assert one.exact <= one.labels <= one.greedy
    rows = cells(batcher.labels_table(found))
    assert rows[-1][1].endswith("as one text, missing values filled (as the authors)")
    assert rows[-1][8] == f"{found[-1].greedy / 5 - 1:+.0%}"


def test_the_matcher_is_measured_on_labels_of_each_kind(data: Data) -> None:
    found = learnt(data, seeds=1)
    assert [one.labels for one in found].count("random, as many") == 4
    assert found[-1].count == 40
    assert all(0 <= f1 <= 1 for one in found for f1 in one.f1)
    rows = cells(batcher.learnt_table([Learnt("beer", "random, 40", 40, 5.0, 1, [0.5, 0.7])]))
    assert rows[-1] == ["beer", "random, 40", "40", "5.0", "2", "1", "60.0 ± 10.0", "83.6"]


def test_too_small_a_sample_leaves_all_to_ask(data: Data) -> None:
    found = routed(data)
    assert (found.sample, found.asked, found.wrong, found.f1_answered) == (20, 1.0, 0.0, 1.0)
    assert cells(batcher.routed_table([found]))[-1][3] == "100.0%"


def test_blocking_finds_the_matches(data: Data) -> None:
    report = batcher.blocked(data, 5)
    assert report.recall == 1.0
    assert cells(batcher.blocking_table([("made-up", 5, report)]))[-1][-1] == "100.0%"


def test_the_account_stays_when_the_tables_are_written_again(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\nAn account.\n\n{batcher.MARK}\n\nold\n")
    batcher.write_page(page, ["new"])
    batcher.write_page(page, ["newer"])
    assert page.read_text() == f"# Title\n\nAn account.\n\n{batcher.MARK}\n\nnewer\n"
