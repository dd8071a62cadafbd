"""The flow of `sluice crowd cluster`: a simulated crowd, recorded answers, and people who fill in what is wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.records import BadInput, Stopped
from tasks.run.folder import digest
from tests.csv_files import read_rows_of, written
from tests.llm.fake_server import Body, FakeServer, marked

HOSTILE = "<script>alert(1)</script>"
TABLES = ("clusters.csv", "pairs.csv", "answers.csv", "workers.csv")
Settings = Callable[..., ClusterSettings]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Twenty-four records of six things in one table, candidate pairs, what is right, and three workers, one of them poor."""
    folder, random = tmp_path_factory.mktemp("crowd"), np.random.default_rng(0)
    entity = {f"r{number}": number % 6 for number in range(24)}
    ends = [
        pair
        for pair in combinations(entity, 2)
        if random.random() < 0.7 or entity[pair[0]] == entity[pair[1]]
    ]
    same = [entity[one] == entity[other] for one, other in ends]
    scores = np.clip(random.normal(0.3 + 0.4 * np.array(same), 0.15), 0, 1).round(3).tolist()
    matrices = [("ann", 0.95), (HOSTILE, 0.9), ("bob", 0.7)]
    return {
        "pairs": written(
            folder / "pairs.csv",
            ["ltable_id", "rtable_id", "probability", "match"],
            [[*pair, score, 0] for pair, score in zip(ends, scores, strict=True)],
        ),
        "left": written(
            folder / "records.csv",
            ["id", "name"],
            [
                *([id, f"={HOSTILE} thing {thing}"] for id, thing in entity.items()),
                ["alone", "one thing more"],
            ],
        ),
        "truth": written(
            folder / "truth.csv", ["cluster", "id"], [[thing, id] for id, thing in entity.items()]
        ),
        "workers": written(
            folder / "workers.csv",
            ["worker", "truth", "label", "probability"],
            [
                [name, true, given, right if true == given else round(1 - right, 2)]
                for name, right in matrices
                for true in (0, 1)
                for given in (0, 1)
            ],
        ),
        "answers": written(
            folder / "answers.csv",
            ["left_id", "right_id", "worker", "label"],
            [[*pair[::-1], "carl", int(one)] for pair, one in zip(ends, same, strict=True)],
        ),
    }


@pytest.fixture
def make(files: dict[str, str], tmp_path: Path) -> Settings:
    def settings(run: str, **changes: Any) -> ClusterSettings:
        given = {"pairs": files["pairs"], "left": files["left"], "truth": files["truth"], **changes}
        return ClusterSettings(runs_dir=str(tmp_path), run=run, **given)

    return settings


@pytest.mark.server
def test_a_simulated_crowd_clusters_records_and_leaves_why_and_a_page(prefect_server, make, files, tmp_path):
    from flows.crowd.cluster import cluster, shown

    summary = cluster(make("r", simulate=files["workers"], redundancy=3, below=0.2))
    run = tmp_path / "crowd-cluster/r"
    clusters = read_rows_of(run / "clusters.csv")
    assert len(clusters) == 25
    assert {row["id"] for row in clusters if row["id"] == "alone"} == {"alone"}
    assert summary["clusters"] == len({row["cluster"] for row in clusters})
    assert summary["quality"]["f1"] > 0.6
    pairs = read_rows_of(run / "pairs.csv")
    assert len(pairs) == summary["pairs"]
    assert {row["how"] for row in pairs} == {"asked", "clustered", "pruned"}
    assert all((row["crowd"] != "") == (row["how"] == "asked") for row in pairs)
    asked = [row for row in pairs if row["how"] == "asked"]
    answers = read_rows_of(run / "answers.csv")
    assert len(answers) == 3 * len(asked) == summary["answers"]
    assert summary["cost"] == pytest.approx(0.02 * len(answers))
    assert {row["worker"] for row in read_rows_of(run / "workers.csv")} == {"ann", "bob", HOSTILE}
    assert json.loads((run / "summary.json").read_text())["questions"] == len(asked) < len(pairs)
    page = (run / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert f"{summary['clusters']} clusters from {len(asked)} of {len(pairs)} questions" in page
    assert shown(summary)[0][-1] == "F1"
    cluster(make("again", simulate=files["workers"], redundancy=3, below=0.2))
    for name in TABLES:
        assert digest(run / name) == digest(tmp_path / "crowd-cluster/again" / name)


@pytest.mark.server
def test_people_are_asked_round_by_round_until_nothing_is_wanted(prefect_server, make, files, tmp_path):
    """The same as with their answers recorded beforehand; what they fill in half is kept."""
    from flows.crowd.cluster import cluster

    recorded = cluster(make("recorded", answers=[files["answers"]]))
    assert recorded["quality"]["f1"] == 1.0
    assert recorded["answers"] == recorded["questions"]
    truth = {row["id"]: row["cluster"] for row in read_rows_of(Path(files["truth"]))}
    settings, run = make("r", redundancy=2), tmp_path / "crowd-cluster/r"
    rounds = 0
    while True:
        with suppress(Stopped):
            summary = cluster(settings.model_copy(update={"resume": rounds > 0}))
            break
        rounds += 1
        rows = read_rows_of(run / "wanted.csv")
        assert HOSTILE in rows[0]["left"]  # as it is: it is for a person, in a CSV file
        filled = rows if rounds > 1 else rows[: len(rows) // 2 + 1]
        for number, row in enumerate(filled):
            row["worker"] = f"w{number % 2 if rounds != 2 else 1 - number % 2}"
            row["label"] = int(truth[row["left_id"]] == truth[row["right_id"]])
        written(run / "wanted.csv", list(rows[0]), [list(row.values()) for row in rows])
        assert rounds < 60
    assert not (run / "wanted.csv").exists()
    assert summary["answers"] == 2 * summary["questions"]
    for name in ("clusters.csv", "pairs.csv"):
        ours, theirs = (read_rows_of(tmp_path / "crowd-cluster" / one / name) for one in ("r", "recorded"))
        keys = [key for key in ours[0] if key != "crowd"]
        assert [[row[key] for key in keys] for row in ours] == [[row[key] for key in keys] for row in theirs]
    assert len(read_rows_of(run / "answers.csv")) == summary["answers"]


@pytest.mark.server
def test_what_people_write_wrongly_is_one_line_and_loses_nothing(prefect_server, make, tmp_path):
    from flows.crowd.cluster import cluster

    settings, run = make("r", redundancy=1, method="deduce"), tmp_path / "crowd-cluster/r"
    with pytest.raises(
        Stopped, match=r"label \(1 the same, 0 not\) in .*wanted.csv, then continue with --resume r"
    ):
        cluster(settings)
    rows = read_rows_of(run / "wanted.csv")
    rows[0]["label"], rows[1]["label"] = "1", "perhaps"
    written(run / "wanted.csv", list(rows[0]), [list(row.values()) for row in rows])
    with pytest.raises(BadInput, match=r"wanted.csv:3: the label is perhaps; write 1 for the same"):
        cluster(settings.model_copy(update={"resume": True}))
    rows[1]["label"] = "0"
    written(run / "wanted.csv", list(rows[0]), [list(row.values()) for row in rows])
    with pytest.raises(Stopped):
        cluster(settings.model_copy(update={"resume": True}))
    assert len(read_rows_of(run / "wanted.csv")) == len(rows) - 2
    assert [row["worker"] for row in read_rows_of(run / "stages/collected.csv")] == ["you", "you"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--pairs", "none.csv"], f"--pairs {Path('none.csv').absolute()}: no such file"),
        (["--score", "likely"], "no column likely"),
        (["--left", "", "--right", "{left}"], "--right is the other table of --left"),
        (["--right", "{left}", "--one-table"], "--one-table: there are two tables"),
        (["--right", "{answers}"], "--right "),
        (["--simulate", "{workers}", "--truth", ""], "--simulate needs --truth"),
        (["--simulate", "{workers}", "--redundancy", "4"], "--simulate has 3 workers"),
        (["--simulate", "{answers}"], "--simulate "),
        (["--below", "0.6", "--above", "0.5"], "leave nothing to ask"),
        (["--sample", "9", "--below", "0.5"], "--sample chooses"),
        (["--sample", "700"], "takes 736 at least"),
        (["--merge", "ds", "--redundancy", "1"], "no two answer the same pair"),
        (["--judges", "a", "--merge", "ds"], "no two answer the same pair"),
        (["--judges", "a", "--answers", "{answers}"], "leave out --answers"),
        (["--judges", "a", "a"], "a model stands there twice"),
        (["--model", "a"], "name the models by --judges"),
        (["--judges", "a", "--left", ""], "--judges needs --left"),
        (
            ["--judges", "a", "--max-cost", "1", "--llm-url", "http://127.0.0.1:9/v1"],
            "--max-cost needs prices",
        ),
        (["--method", "guess"], "--method"),
    ],
)
def test_what_cannot_work_is_one_line(files, tmp_path, capfd, flags, said):
    given = {"--pairs": files["pairs"], "--left": files["left"], "--truth": files["truth"]}
    flags = [flag.format(**files) for flag in flags]
    words = [word for name, value in given.items() if name not in flags for word in (name, value)]
    assert main(["crowd", "cluster", "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def judges_say(body: Body) -> str:
    """As the records' texts say; the model `poor` takes everything for the same, and nobody can tell of thing 5."""
    found = {}
    for number, text in marked(body["messages"][-1]["content"]).items():
        one, other = re.findall(r"thing (\d)", text)
        if one == other == "5":
            continue
        found[str(number)] = {"match": body["model"] == "poor" or one == other}
    return json.dumps(found)


@pytest.mark.server
def test_models_answer_instead_of_people_and_each_answer_is_paid_once(prefect_server, make, files, tmp_path):
    from flows.crowd.cluster import cluster

    with FakeServer(answer=judges_say) as server:
        given = {
            "judges": ["good", "better", "poor"],
            "llm_url": server.url,
            "price_input": 1.0,
            "price_output": 2.0,
        }
        planned = cluster(make("dry", dry_run=True, **given))
        free = {name: value for name, value in given.items() if not name.startswith("price")}
        unpriced = cluster(make("unpriced", dry_run=True, **free))
        assert (unpriced["expected_cost"], unpriced["cost_of_everything"]) == (None, None)
        assert not server.bodies
        with pytest.raises(Stopped, match="--max-cost"):
            cluster(make("r", max_cost=0.001, **given))
        summary = cluster(make("r", max_cost=1.0, **given).model_copy(update={"resume": True}))
        asked = dict(server.asked)
        again = cluster(make("again", **given))  # another run, whose requests have been answered
    assert {len(times) for times in asked.values()} == {1}
    assert server.asked.keys() == asked.keys()
    assert summary["quality"]["precision"] == 1.0
    assert summary["quality"]["f1"] > 0.85
    assert summary["redundancy"] == 3
    assert summary["pages"] is None  # models need none
    run = tmp_path / "crowd-cluster/r"
    answers = read_rows_of(run / "answers.csv")
    left = [row for row in answers if row["worker"] == "machine score"]
    assert 0 < len(left) == summary["undecided"]
    assert len(answers) == 3 * (summary["questions"] - len(left)) + len(left)
    lines = [json.loads(line) for line in (run / "costs.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == list(range(1, len(summary["rounds"]) + 1))
    assert sum(line["cost"] for line in lines) == pytest.approx(summary["cost"])
    assert sum(line["requests"] for line in lines) == len(asked)
    assert planned["expected_cost"] / 4 < summary["cost"] < planned["cost_of_everything"] * 2
    assert again["cost"] == pytest.approx(summary["cost"])
    costs = [
        json.loads(line) for line in (tmp_path / "crowd-cluster/again/costs.jsonl").read_text().splitlines()
    ]
    assert sum(line["cost_paid"] for line in costs) == 0
