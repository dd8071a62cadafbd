"""The flow of BATCHER: two tables or one, labels from files or from a person, the matcher, the model or both."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.records import BadInput, Stopped
from tasks.resolve.settings import BatcherSettings
from tasks.run.settings import read_yaml
from tasks.storage.tables import read_rows
from tests.csv_files import read_rows_of, written
from tests.llm.batches import answer_files, answered
from tests.llm.fake_server import FakeServer, Faults, marked

WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "flint",
    "grove",
    "heron",
    "inlet",
    "jetty",
    "kelp",
    "larch",
)
ROOT = Path(__file__).resolve().parents[2]
Settings = Callable[..., BatcherSettings]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Sixty things in two tables, written a little otherwise in the second; labelled pairs, and pairs to decide."""
    folder = tmp_path_factory.mktemp("tables")
    random = np.random.default_rng(0)
    names = [" ".join(random.choice(WORDS, 3, replace=False)) + f" {number}" for number in range(60)]
    left = [[f"a{row}", name, f"maker {row % 7}"] for row, name in enumerate(names)]
    right = [
        [f"b{row}", name.upper().replace("E", "e"), f"maker {row % 7} ltd"] for row, name in enumerate(names)
    ]
    pairs = [[f"a{row}", f"b{row}", 1] for row in range(60)]
    pairs += [[f"a{row}", f"b{(row + step) % 60}", 0] for row in range(60) for step in (1, 7, 14)]
    order = random.permutation(len(pairs))
    pool, asked = ([pairs[row] for row in rows] for rows in (order[:160], order[160:]))
    head = ["ltable_id", "rtable_id", "label"]
    return {
        "left": written(folder / "a.csv", ["id", "name", "maker"], left),
        "right": written(folder / "b.csv", ["id", "name", "maker"], right),
        "labels": written(folder / "labels.csv", head, pool),
        "pairs": written(folder / "pairs.csv", head, asked),
    }


@pytest.fixture
def settings(tables: dict[str, str], tmp_path: Path) -> Settings:
    def make(run: str, without: tuple[str, ...] = (), **changes: Any) -> BatcherSettings:
        given: dict[str, Any] = {**tables, "labels": [tables["labels"]]}
        given = {name: value for name, value in given.items() if name not in without}
        return BatcherSettings(runs_dir=str(tmp_path), run=run, **{**given, **changes})

    return make


def says(body: dict[str, Any]) -> str:
    """A model that knows: the number at the end of both names is the same."""
    found = {}
    for number, text in marked(body["messages"][-1]["content"]).items():
        one, other = re.findall(r"name: [^;]*?(\d+)(?:;|$)", text, re.MULTILINE)
        found[str(number)] = {"match": one == other}
    return json.dumps(found)


@pytest.mark.server
def test_the_matcher_decides_all_and_leaves_figures_reasons_and_a_page(prefect_server, settings, tmp_path):
    from flows.batcher import batcher, shown

    summary = batcher(settings("r"))
    run = tmp_path / "batcher/r"
    rows = read_rows_of(run / "predictions.csv")
    assert len(rows) == summary["questions"] == 80
    assert {row["decided_by"] for row in rows} == {"matcher"}
    assert all((float(row["probability"]) >= 0.5) == (row["match"] == "1") for row in rows)
    truth = {
        (row["ltable_id"], row["rtable_id"]): row["label"] for row in read_rows_of(Path(settings("r").pairs))
    }
    right = sum(truth[row["ltable_id"], row["rtable_id"]] == row["match"] == "1" for row in rows)
    assert summary["recall"] == pytest.approx(right / sum(label == "1" for label in truth.values()))
    assert summary["f1"] > 0.7
    assert summary["labels_used"] == summary["demonstrations"] < 160
    assert summary["tokens_in"] == summary["undecided"] == 0
    assert json.loads((run / "summary.json").read_text())["f1"] == summary["f1"]
    reasons = read_rows(run / "explanations.parquet")
    assert set(json.loads(reasons[0]["similarities"])) == {"name", "maker"}
    assert not (run / "clusters.csv").exists()
    checks = (run / "expectations/docs/index.html").read_text()
    assert all(f"expectations/{gate}.html" in checks for gate in ("questions", "pool", "predictions"))
    page = (run / "report.html").read_text()
    assert f"{summary['matches']} matches among 80 pairs" in page
    assert shown(summary)[0][-1] == "F1"


@pytest.mark.server
def test_the_model_is_asked_in_batches_and_what_it_cannot_say_is_undecided(
    prefect_server, settings, tmp_path
):
    from flows.batcher import batcher

    def unsure(body: dict[str, Any]) -> str:
        answers = json.loads(says(body))
        texts = marked(body["messages"][-1]["content"])
        return json.dumps(
            {number: one for number, one in answers.items() if "maker 3" not in texts[int(number)]}
        )

    with FakeServer(answer=unsure, faults=Faults(errors=0.1, bodies=0.1, at_most=2)) as server:
        given = settings("r", judge="llm", model="m", llm_url=server.url, price_input=1.0, price_output=1.0)
        summary = batcher(given)
        again = batcher(given.model_copy(update={"run": "again"}))
        answered = server.counts()["answered"]
        prompt = server.bodies[0]["messages"][1]["content"]
    assert set(map(len, answered.values())) == {1}
    rows = read_rows_of(tmp_path / "batcher/r/predictions.csv")
    by = {row["decided_by"] for row in rows}
    assert by == {"llm", "undecided"}
    assert summary["undecided"] == sum(row["decided_by"] == "undecided" for row in rows) > 0
    assert all(row["match"] == "0" for row in rows if row["decided_by"] == "undecided")
    assert summary["precision"] == 1.0
    assert summary["batches"] == 10
    assert summary["requests"] == len(answered)
    assert summary["tokens_in"] > 0
    assert summary["cost_model"] > 0
    assert again["requests"] == 0  # the replies are in the store
    assert again["decided_by"] == summary["decided_by"]
    assert "First examples" in prompt
    assert "Right answer: " in prompt
    reasons = read_rows(tmp_path / "batcher/r/explanations.parquet")
    told = next(row for row in reasons if row["decided_by"] == "llm")
    assert json.loads(told["demonstrations"])
    assert '"match"' in told["answer"]
    assert {row["reason"] for row in reasons if row["decided_by"] == "undecided"} == {
        "the answer could not be read"
    }


@pytest.mark.server
def test_a_batch_api_is_asked_through_files(prefect_server, settings, tmp_path):
    from flows.batcher import batcher

    table = tmp_path / "prices.yaml"
    table.write_text("m: {input: 1.0, output: 2.0}\n")
    given = settings("r", judge="llm", model="m", llm_batch=True, price_table=str(table))
    with pytest.raises(Stopped, match=r"10 requests for a batch API are in judge\.1\.requests\.jsonl"):
        batcher(given)
    answer_files(tmp_path / "batcher/r/batch", lambda key, body: answered(key, body, says))
    summary = batcher(given.model_copy(update={"resume": True}))
    assert summary["requests"] == summary["batches"] == 10
    assert summary["precision"] == 1.0
    assert summary["undecided"] == 0
    assert summary["cost_model"] == pytest.approx(10 * (100 * 1.0 + 10 * 2.0) / 1e6)


@pytest.mark.server
def test_routing_asks_only_about_what_the_matcher_is_unsure_of(prefect_server, settings, tmp_path):
    from flows.batcher import batcher

    with FakeServer(answer=says) as server:
        summary = batcher(
            settings(
                "r",
                judge="routed",
                error=0.2,
                confidence=0.8,
                model="m",
                llm_url=server.url,
                routing_labels=100,
            )
        )
    assert summary["labels_used"] > summary["demonstrations"]
    assert 0 < summary["decided_by"]["matcher"] <= 80
    assert summary["asked"] == 80 - summary["decided_by"]["matcher"] == summary["decided_by"].get("llm", 0)


@pytest.mark.server
def test_one_table_is_blocked_and_labelled_by_a_person_in_a_file(prefect_server, settings, tables, tmp_path):
    from flows.batcher import batcher

    both = [[*row.values()] for name in ("left", "right") for row in read_rows_of(Path(tables[name]))]
    one = written(tmp_path / "one.csv", ["id", "name", "maker"], both)
    given = settings("r", ("right", "labels", "pairs"), left=one, neighbours=4)
    with pytest.raises(Stopped, match=r"to_label\.csv"):
        batcher(given)
    path = tmp_path / "batcher/r/to_label.csv"
    rows = read_rows_of(path)
    assert {row["label"] for row in rows} == {""}
    for row in rows[:-1]:
        row["label"] = "yes" if row["ltable_id"][1:] == row["rtable_id"][1:] else "0"
    resumed = given.model_copy(update={"resume": True})
    written(path, list(rows[0]), [[*row.values()] for row in rows])
    with pytest.raises(Stopped, match="1 of"):
        batcher(resumed)
    rows[-1]["label"] = "perhaps"
    written(path, list(rows[0]), [[*row.values()] for row in rows])
    with pytest.raises(BadInput, match="perhaps"):
        batcher(resumed)
    rows[-1]["label"] = "1" if rows[-1]["ltable_id"][1:] == rows[-1]["rtable_id"][1:] else "0"
    written(path, list(rows[0]), [[*row.values()] for row in rows])
    summary = batcher(resumed)
    assert summary["labels_used"] == len(rows) == summary["decided_by"]["label"]
    assert summary["blocking"]["reduction"] > 0.9
    clusters = read_rows_of(tmp_path / "batcher/r/clusters.csv")
    assert len(clusters) == 120
    together = [row["cluster"] for row in clusters if row["id"] in ("a5", "b5")]
    assert together[0] == together[1]
    assert summary["clusters"]["entities"] < 120


@pytest.mark.server
def test_one_to_one_gives_every_record_at_most_one_partner(prefect_server, settings, tmp_path):
    from flows.batcher import batcher

    summary = batcher(settings("r", ("pairs",), resolve="one-to-one", threshold=0.05))
    rows = [row for row in read_rows_of(tmp_path / "batcher/r/predictions.csv") if row["match"] == "1"]
    assert len(rows) == summary["matches"] > 0
    for side in ("ltable_id", "rtable_id"):
        assert len({row[side] for row in rows}) == len(rows)
    assert summary["blocking"]["recall"] == 1.0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--left", "none.csv"], r"^--left \S*none\.csv: no such file"),
        (["--right", "none.csv"], r"^--right \S*none\.csv: no such file"),
        (["--pairs", "none.csv"], r"^--pairs \S*none\.csv: no such file"),
        (["--labels", "none.csv"], r"^--labels \S*none\.csv: no such file"),
        (["--id-column", "key"], r"^--left \S*a\.csv:2: no column key; .* by --id-column"),
        (["--attributes", "colour"], "^--attributes .*no attribute colour"),
        (["--pairs", "labels.csv"], "^--labels: all of its pairs are among --pairs"),
        (
            ["--labels", "other.csv"],
            r"^--labels: a\d+ and b\d+ are [01] in one file and [01] in another; make the files agree",
        ),
        (["--judge", "llm"], "--judge llm needs --model"),
        (["--minimum-similarity", "0"], "--minimum-similarity"),
        (["--batching", "chaos"], "--batching"),
    ],
)
def test_what_cannot_work_is_one_line(
    tables: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [word for name in ("left", "right", "pairs", "labels") for word in (f"--{name}", tables[name])]
    shutil.copy(tables["labels"], "labels.csv")
    first = read_rows_of(Path(tables["labels"]))[0]
    other = {**first, "label": 1 - int(first["label"])}
    written(tmp_path / "other.csv", list(other), [list(other.values())])
    assert main(["batcher", "--runs-dir", str(tmp_path / "runs"), *given, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(said, err.removeprefix("sluice: ")), err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.server
def test_the_example_that_ships_runs(prefect_server, tmp_path, monkeypatch):
    from flows.batcher import batcher

    monkeypatch.chdir(ROOT)
    summary = batcher(BatcherSettings(**read_yaml("data/games.yaml"), runs_dir=str(tmp_path), run="r"))
    assert summary["questions"] == 200
    assert summary["f1"] > 0.6
