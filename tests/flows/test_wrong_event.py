"""The flow of wrong events: a table with wrong labels in, the wrong ones first and a model out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.__main__ import main
from tasks.storage.tables import read_rows
from tasks.wrong_event.settings import WrongEventSettings
from tests.csv_files import write_rows

WORDS = {
    "cook": ["soup", "boat", "answer", "how", "cook", "gives"],
    "sail": ["wind", "mast", "rope", "harbour", "wave", "anchor"],
}
TABLES = ("labels.csv", "rejected.parquet", "model")


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, set[int]]:
    """A table of 120 rows with numbers, a test, and which rows have a wrong label."""
    folder, random = tmp_path_factory.mktemp("numbers"), np.random.default_rng(2)
    truth = random.integers(0, 3, 180)
    values = random.normal(size=(180, 4)).round(3) + 4 * np.eye(4)[truth]
    names = np.array(["<b>red</b>", "green", "blue"])
    wrong = set(random.permutation(120)[:24].tolist())
    given = [(label + 1) % 3 if row in wrong else label for row, label in enumerate(truth[:120].tolist())]
    rows = [[*value, names[label]] for value, label in zip(values[:120].tolist(), given, strict=True)]
    judging = [[*value, name] for value, name in zip(values[120:].tolist(), names[truth[120:]], strict=True)]
    head = ["a", "b", "c", "d", "colour"]
    return write_rows(folder / "data.csv", head, rows), write_rows(folder / "test.csv", head, judging), wrong


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[int]]:
    """80 short texts, some with the other label, one of which is hostile."""
    folder, random = tmp_path_factory.mktemp("texts"), np.random.default_rng(3)
    wrong = set(random.permutation(80)[:12].tolist())
    rows = []
    for row in range(80):
        label = "cook" if row % 2 else "sail"
        text = " ".join(random.choice(WORDS[label], 8)) + (
            "<script>alert(1)</script>" if row in wrong else ""
        )
        rows.append([text, ("sail" if label == "cook" else "cook") if row in wrong else label])
    return write_rows(folder / "texts.csv", ["text", "topic"], rows), wrong


@pytest.fixture
def make(numbers: tuple[Path, Path, set[int]], tmp_path: Path) -> Callable[..., WrongEventSettings]:
    def settings(run: str, **changes: Any) -> WrongEventSettings:
        values = {"data": str(numbers[0]), "label": "colour", "warm_epochs": 12, "epochs": 10, **changes}
        return WrongEventSettings(runs_dir=str(tmp_path), run=run, **values)

    return settings


@pytest.mark.server
def test_right_labels_are_not_doubted(prefect_server, make, numbers, tmp_path):
    from flows.wrong_event import wrong_event

    test = tmp_path / "right.csv"
    test.write_text(numbers[1].read_text())
    summary = wrong_event(make("r", data=str(test)))
    run = tmp_path / "wrong_event/r"
    assert summary["rows"] == 60
    assert summary["flagged"] == 0
    assert {row["p_clean"] for row in labels_of(run)} == {"1.000000"}
    assert "No label is doubted" in (run / "report.html").read_text()


def labels_of(run: Path) -> list[dict[str, str]]:
    with (run / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.server
def test_wrong_labels_come_first_and_the_model_predicts_right_ones(prefect_server, make, numbers, tmp_path):
    from flows.wrong_event import shown, wrong_event
    from tasks.classify.classifier import Classifier

    summary = wrong_event(make("r", test=str(numbers[1])))
    run, wrong = tmp_path / "wrong_event/r", numbers[2]
    rows = labels_of(run)
    assert list(rows[0]) == ["row", "given", "predicted", "p_clean", "wrong_events"]
    assert sorted(int(row["row"]) for row in rows) == list(range(120))
    first = {int(row["row"]) for row in rows[: len(wrong)]}
    assert len(first & wrong) >= len(wrong) - 2
    clean = [float(row["p_clean"]) for row in rows]
    assert clean == sorted(clean)
    assert summary["flagged"] == sum(one < 0.5 for one in clean)
    assert abs(summary["flagged"] - len(wrong)) <= 6
    assert summary["accuracy"] > 0.95
    assert summary["rows"] == 120
    assert summary["test_rows"] == 60
    assert json.loads((run / "summary.json").read_text())["seconds"]["all"] > 0
    model = Classifier.load(run / "model")
    with numbers[1].open(newline="") as file:
        judging = list(csv.DictReader(file))
    values = np.array([[float(row[name]) for name in model.features] for row in judging])
    right = np.mean([one == row["colour"] for one, row in zip(model.predict(values), judging, strict=True)])
    assert right == pytest.approx(summary["accuracy"])
    page = (run / "report.html").read_text()
    assert "<b>red</b>" not in page
    assert "&lt;b&gt;red&lt;/b&gt;" in page
    assert f"{summary['flagged']} of 120 labels are doubted" in page
    assert (run / "expectations/docs/index.html").exists()
    assert not (run / "checkpoints").exists()
    assert shown(summary)[0][-1] == "accuracy on the test"


@pytest.mark.server
@pytest.mark.parametrize(("stage", "epoch"), [("warm up, epoch", 5), ("train, epoch", 4)])
def test_a_run_that_was_stopped_in_an_epoch_ends_with_the_tables_of_one_that_was_not(
    prefect_server, make, tmp_path, monkeypatch, stage, epoch
):
    from flows.wrong_event import wrong_event
    from tasks.run.folder import digest
    from tasks.wrong_event import stages

    wrong_event(make("whole"))
    seen: list[int] = []

    def told(what: str) -> Callable[[int, int], None]:
        def tell(done: int, of: int) -> None:
            if what == stage:
                seen.append(done)
                if len(seen) == epoch:
                    raise OSError("the disk went away")

        return tell

    monkeypatch.setattr(stages, "told", told)
    with pytest.raises(OSError, match="went away"):
        wrong_event(make("stopped"))
    assert (tmp_path / "wrong_event/stopped/checkpoints").exists()
    wrong_event(make("stopped", resume=True))
    assert seen[: epoch + 1] == list(range(1, epoch + 2))  # it goes on with the next epoch
    for name in TABLES:
        assert digest(tmp_path / "wrong_event/stopped" / name) == digest(
            tmp_path / "wrong_event/whole" / name
        )


@pytest.mark.server
def test_texts_by_the_embedded_network(prefect_server, make, texts, tmp_path):
    from flows.wrong_event import wrong_event
    from tasks.classify.classifier import Classifier

    data, wrong = texts
    summary = wrong_event(make("r", data=str(data), label="topic", text="text", warm_epochs=20, epochs=20))
    run = tmp_path / "wrong_event/r"
    assert summary["accuracy"] is None
    first = {int(row["row"]) for row in labels_of(run)[: len(wrong)]}
    assert len(first & wrong) >= len(wrong) - 2
    assert Classifier.load(run / "model").predict(["mast rope wind", "soup cook boat"]) == ["sail", "cook"]
    assert "<script>alert" not in (run / "report.html").read_text()


@pytest.mark.server
def test_a_transformers_encoder_is_trained_and_left_as_it_was(
    prefect_server, make, texts, tmp_path, encoder_model
):
    from transformers import AutoModelForSequenceClassification

    from flows.wrong_event import wrong_event
    from tasks.classify.classifier import Classifier

    before = (encoder_model / "model.safetensors").read_bytes()
    given = {"data": str(texts[0]), "label": "topic", "text": "text", "encoder": str(encoder_model)}
    wrong_event(make("r", **given, warm_epochs=2, epochs=2, test=str(other_texts(tmp_path))))
    assert (encoder_model / "model.safetensors").read_bytes() == before
    path = tmp_path / "wrong_event/r/model"
    assert AutoModelForSequenceClassification.from_pretrained(path).config.id2label == {0: "cook", 1: "sail"}
    assert set(Classifier.load(path).predict(["soup", "mast"])) <= {"cook", "sail"}


def other_texts(folder: Path) -> Path:
    return write_rows(
        folder / "others.csv", ["text", "topic"], [["soup soup now", "cook"], ["mast mast now", "sail"]]
    )


@pytest.mark.server
def test_rows_that_cannot_be_used_are_rejected_with_the_reason(prefect_server, make, numbers, tmp_path):
    from flows.wrong_event import wrong_event

    data, test = tmp_path / "data.csv", tmp_path / "test.csv"
    lines = numbers[0].read_text().splitlines()
    data.write_text("\n".join([*lines, "1,2,3,4,", "1,2,x,4,green", "1,2,,4,green", "1,2,inf,4,blue"]) + "\n")
    test.write_text("\n".join([lines[0], lines[1], "1,2,3,4,mauve", "4,1,0,0,green"]) + "\n")
    summary = wrong_event(make("r", data=str(data), test=str(test), warm_epochs=1, epochs=1))
    assert summary["rows"] == 120
    assert summary["test_rows"] == 2
    assert summary["test_rows_of_no_class"] == 1  # mauve: an error
    assert summary["accuracy"] <= 0.5
    rejected = read_rows(tmp_path / "wrong_event/r/rejected.parquet")
    page = " ".join((tmp_path / "wrong_event/r/report.html").read_text().split())
    assert (
        "test rows right. Of these 1 have a label that the data do not have, and count as errors. 5 rows could"
        in page
    )
    assert [(row["reason"], row["id"].rpartition(":")[2]) for row in rejected[:4]] == [
        ("no label", "122"),
        ("not a number", "123"),
        ("not a number", "124"),
        ("not a number", "125"),
    ]
    assert [(row["reason"], row["id"]) for row in rejected[4:]] == [("stands in the data too", f"{test}:2")]


@pytest.mark.server
def test_a_test_without_a_known_label_is_refused(prefect_server, make, numbers, tmp_path):
    from flows.wrong_event import wrong_event
    from tasks.records import BadInput

    test = tmp_path / "test.csv"
    test.write_text(numbers[1].read_text().splitlines()[0] + "\n1,2,3,4,mauve\n")
    with pytest.raises(BadInput, match="no row has a label that the data have; these have: "):
        wrong_event(make("r", test=str(test)))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data", "none.csv"], f"--data {Path('none.csv').absolute()}: no such file"),
        (["--data", "."], ": give a file of JSON lines, CSV or Parquet"),
        (["--label", "shade"], "--label shade: "),
        (["--label", "shade"], "it has: a, b, c, d, colour"),
        (["--text", "body"], "--text body: "),
        (["--features", "a,e"], "--features e: "),
        (["--features", "a,colour"], "--features colour: this is the label"),
        (["--text", "colour"], "--text colour: this is the label"),
        (["--label", "", "--answer", "a", "--question", "a"], "--answer a: this is the question"),
        (["--text", "a", "--features", "b"], "give one of them"),
        (["--answer", "b"], "and not both"),
        (["--label", ""], "give --label"),
        (["--test", "none.csv"], f"--test {Path('none.csv').absolute()}: no such file"),
        (["--text", "a", "--encoder", "./nowhere"], "nowhere: no such folder"),
        (["--threshold", "1"], "--threshold"),
        (["--label", "", "--answer", "b", "--question", "z"], "--question z: "),
    ],
)
def test_what_cannot_work_is_one_line(numbers, tmp_path, capfd, flags, said):
    given = {"--data": str(numbers[0]), "--label": "colour"}
    words = [word for name, value in given.items() if name not in flags for word in (name, value)]
    assert main(["wrong-event", "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_labels_that_are_no_classes_are_found_before_anything_starts(tmp_path, capfd):
    for label, said in ((lambda row: "x", "two classes"), (str, "20 different labels")):
        data = tmp_path / "data.csv"
        data.write_text("\n".join(["a,colour", *(f"{row},{label(row)}" for row in range(20))]) + "\n")
        given = ["--data", str(data), "--label", "colour", "--runs-dir", str(tmp_path / "runs")]
        assert main(["wrong-event", *given]) == 2
        err = capfd.readouterr().err
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.server
def test_labels_that_are_all_alike_or_all_different_leave_no_run(prefect_server, make, tmp_path):
    from flows.wrong_event import wrong_event
    from tasks.records import BadInput

    for name, label, said in (("same", lambda row: "x", "two classes"), ("own", str, "different labels")):
        data = tmp_path / f"{name}.csv"
        data.write_text("\n".join(["a,colour", *(f"{row},{label(row)}" for row in range(20))]) + "\n")
        with pytest.raises(BadInput, match=said):
            wrong_event(make(name, data=str(data)))
        assert not (tmp_path / "wrong_event" / name).exists()


@pytest.mark.server
def test_a_test_of_another_shape_leaves_no_run(prefect_server, make, tmp_path):
    from flows.wrong_event import wrong_event
    from tasks.records import BadInput

    for name, size in (("data", 3), ("test", 2)):
        rows = [{"e": [row % 2] * size, "colour": "ab"[row % 2]} for row in range(10)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {name: str(tmp_path / f"{name}.jsonl") for name in ("data", "test")}
    with pytest.raises(BadInput, match=r"--test: no row can be used: 10 of 10 another shape"):
        wrong_event(make("r", **given))
    assert not (tmp_path / "wrong_event/r").exists()


@pytest.mark.server
def test_pairs_whose_answers_are_doubted_are_left_out_of_the_clean_ones(prefect_server, make, tmp_path):
    from flows.wrong_event import shown, wrong_event
    from tasks.run.expectations import GateFailed
    from tasks.wrong_event import pair_stages

    random = np.random.default_rng(1)
    names = ["apple", "river", "stone", "None"]
    rows = [
        {"q": f"say {names[at]} <i>{row}</i>", "a": names[at]}
        for row, at in enumerate(random.integers(0, 4, 90))
    ]
    data = tmp_path / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"q": "no answer", "a": ""}]))
    tiny = {"student_vocabulary": 300, "student_width": 32, "student_layers": 1, "pretrain_tokens": 500}
    given = {"data": str(data), "label": "", "question": "q", "answer": "a", "warm_epochs": 2, **tiny}
    summary = wrong_event(make("r", **given))
    run = tmp_path / "wrong_event/r"
    with (run / "pairs.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    assert sorted(int(row["row"]) for row in scores) == list(range(90))
    clean = [json.loads(line) for line in (run / "clean.jsonl").read_text().splitlines()]
    kept = sorted(int(row["row"]) for row in scores if float(row["p_clean"]) >= 0.5)
    assert clean == [rows[row] for row in kept]
    assert summary["flagged"] == 90 - len(clean)
    assert summary["rejected"] == 1
    page = (run / "report.html").read_text()
    assert "<i>" not in page
    assert "about as long. 1 row could not be used" in " ".join(page.split())
    assert shown(summary)[1][0] == "90"
    assert (run / "expectations/docs/index.html").exists()
    counts = (run / "pairs.csv").read_text()
    (run / "pairs.csv").write_text(counts.replace("\n", "\n0,0.5,9\n", 1))
    with pytest.raises(GateFailed, match="gate 'pairs' failed"):
        pair_stages.gate(run, make("r", **given), {"flagged": summary["flagged"]})
