"""The flow of entity collection: answers that are given, replayed, and of people who fill in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.__main__ import main
from tasks.crowd.discover import stages
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.records import BadInput, Stopped
from tasks.storage.tables import read_rows
from tests.crowd.discover.zipf import named_by_crowd
from tests.csv_files import read_rows_of, written

Make = Callable[..., DiscoverSettings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def settings(run: str, **changes: Any) -> DiscoverSettings:
        return DiscoverSettings(runs_dir=str(tmp_path), run=run, **changes)

    return settings


@pytest.fixture
def answers(tmp_path: Path) -> str:
    crowd = named_by_crowd(1, entities=60, exponent=0.9, workers=80, each=8)
    words = [f"Thing No{chr(97 + number // 8) * 3}{chr(97 + number % 8) * 3}" for number in range(60)]
    rows = [[f"w{worker}", words[entity]] for worker, entity in zip(crowd.worker, crowd.entity, strict=True)]
    rows[3][1] = rows[3][1].upper() + "!"
    rows += [["w0", "<b>gold</b>"], ["w1", "?!"], ["w0", "<B>Gold</B>"]]
    return written(tmp_path / "answers.csv", ["worker", "entity"], rows)


@pytest.mark.server
def test_answers_are_folded_counted_and_estimated(prefect_server, make, answers, tmp_path):
    from flows.crowd.discover import discover, shown

    summary = discover(make("r", answers=answers, topic="things", of="entities"))
    run = tmp_path / "crowd-discover/r"
    rows = read_rows_of(run / "entities.csv")
    assert summary["entities"] == len(rows) <= 61
    assert sum(int(row["workers"]) for row in rows) == summary["answers"]
    gold = next(row for row in rows if "gold" in row["entity"].casefold())
    assert (gold["times"], gold["workers"], gold["spellings"]) == ("2", "1", "2")
    (rejected,) = read_rows(run / "rejected.parquet")
    lines = Path(answers).read_text().splitlines()
    assert (rejected["reason"], rejected["id"]) == (
        "no letter in it",
        f"{answers}:{lines.index('w1,?!') + 1}",
    )
    assert 55 < summary["number"] < 75
    assert summary["coverage"] == pytest.approx(1 - summary["named_once"] / summary["answers"], abs=0.01)
    curve = read_rows_of(run / "curve.csv")
    assert int(curve[-1]["entities"]) == summary["entities"]
    page = (run / "report.html").read_text()
    assert "<b>gold</b>" not in page
    assert "&lt;b&gt;gold" in page
    assert f"{summary['entities']} things" in page
    assert summary["repeated"]
    assert summary["taken"] - summary["repeated"] == summary["answers"]
    assert f"gave {summary['taken']} answers. {summary['answers']} of them count: " in " ".join(page.split())
    assert shown(summary)[0][0] == "entities"
    pair = [row["entity"] for row in rows[:2]]
    mapped = discover(
        make("m", answers=answers, mapping=written(tmp_path / "same.csv", ["name", "entity"], [pair]))
    )
    assert mapped["entities"] == summary["entities"] - 1
    assert mapped["repeated"] > summary["repeated"]  # who named both named the same twice


@pytest.mark.server
def test_a_replay_stops_when_enough_is_known(prefect_server, make, answers, tmp_path):
    from flows.crowd.discover import discover

    summary = discover(make("r", answers=answers, replay=True, coverage=0.85, batch=20))
    assert summary["stopped_because"] == summary["enough"] == "85% of the answers are surely known"
    assert summary["left"] > 0
    assert summary["taken"] + summary["left"] + summary["rejected"] == len(read_rows_of(Path(answers)))


@pytest.mark.server
def test_people_fill_in_rounds_until_enough_is_known(prefect_server, make, tmp_path):
    from flows.crowd.discover import discover

    given = make("r", topic="colours", batch=12, least_answers=20, coverage=0.6)
    with pytest.raises(Stopped, match="12 of 12 questions are not answered"):
        discover(given)
    again = given.model_copy(update={"resume": True})
    colours = ["red", "Blue", "green", "red ", "yellow"]
    for number in (1, 2):
        path = tmp_path / f"crowd-discover/r/rounds/{number:03d}/wanted.csv"
        rows = read_rows_of(path)
        assert rows[0]["ask"] == "Name one of the colours"
        rows[0]["entity"] = "red"
        written(path, list(rows[0]), [list(row.values()) for row in rows])
        with pytest.raises(BadInput, match="no worker"):
            discover(again)
        for at, row in enumerate(rows):
            row.update(worker=f"w{number}{at // 3}", entity=colours[(at + number) % 5])
        rows.append({**rows[0], "worker": f"w{number}9", "entity": "blue"})  # somebody had more to say
        rows.append({**rows[0], "worker": f"w{number}9", "entity": "?"})
        written(path, list(rows[0]), [list(row.values()) for row in rows])
        if number == 1:
            with pytest.raises(Stopped, match="rounds/002"):
                discover(again)
    summary = discover(again)
    assert (summary["asked"], summary["entities"]) == (28, 4)
    rejected = [row["id"] for row in read_rows(tmp_path / "crowd-discover/r/rejected.parquet")]
    assert rejected == ["rounds/001/answers.csv:15", "rounds/002/answers.csv:15"]
    assert summary["stopped_because"] == "60% of the answers are surely known"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--answers", "none.csv"], "/none.csv: no such file"),
        (["--answers", "a.csv"], "--entity entity: "),
        (["--mapping", "a.csv"], "--mapping needs the column name: "),
        (["--price", "0.1"], "--price and --value: give both"),
        (["--replay"], "give the answers with --answers"),
        (["--coverage", "1"], "--coverage"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, capfd, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.csv", ["worker"], [["a"]])
    assert main(["crowd", "discover", "--runs-dir", "runs", *flags]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert not (tmp_path / "runs").exists()


def test_answers_that_name_nothing_are_shown(make, tmp_path):
    path = written(tmp_path / "a.csv", ["worker", "entity"], [["v", "?"], ["w", "-"]])
    with pytest.raises(BadInput, match=r"no answer names anything \(last .*a\.csv:3, -\); give --answers"):
        stages.read(tmp_path, make("r", answers=path), {})
