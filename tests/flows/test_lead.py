"""The flow of LEAD: a pool, examples that judge, and a tiny model that is made, or one that is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_corpus import sums, write_lines

from flows.__main__ import main
from tasks.lead.settings import LeadSettings
from tasks.loop.outcome.export import FORMATS
from tasks.storage.tables import read_rows
from tests.lead.prepared import TINY, examples

TABLES = ("selected.parquet", "visits.parquet", "steps.parquet", "arms.parquet", "rejected.parquet")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """pool.jsonl and test.jsonl; two examples of the pool are the test's."""
    folder, random = tmp_path_factory.mktemp("pool"), np.random.default_rng(7)
    test = [dict(zip(("question", "answer"), sums(random), strict=True)) for _ in range(8)]
    shared = [{**one, "id": f"shared{number}"} for number, one in enumerate(test[:2])]
    return (
        write_lines(folder / "pool.jsonl", [*examples(), *shared]),
        write_lines(folder / "test.jsonl", test),
    )


@pytest.fixture
def make(pool: tuple[Path, Path], tmp_path: Path) -> Callable[..., LeadSettings]:
    def settings(run: str, **changes: Any) -> LeadSettings:
        values = {"data": str(pool[0]), "test": str(pool[1]), **TINY, "round_share": 0.5, **changes}
        return LeadSettings(runs_dir=str(tmp_path), run=run, **values)

    return settings


@pytest.mark.server
def test_a_run_selects_trains_judges_and_shows(prefect_server, make, tmp_path):
    from flows.lead import lead, shown

    summary = lead(make("r"))
    run = tmp_path / "lead/r"
    rows = read_rows(run / "selected.parquet")
    assert {"id", "round", "idu", "cluster"} <= rows[0].keys()
    assert len(rows) == summary["selected"] == summary["budget"] == round(0.3 * summary["pool"])
    assert summary["nll_before"] != summary["nll_after"]
    assert summary["extra_forward_passes"] == 0
    assert summary["forward_passes"] == summary["steps"] == len(read_rows(run / "steps.parquet"))
    assert json.loads((run / "summary.json").read_text())["pool"] == summary["pool"] == 60
    dropped = {row["id"]: row["reason"] for row in read_rows(run / "rejected.parquet")}
    assert dropped == dict.fromkeys(("shared0", "shared1"), "overlaps the test part")
    assert (run / "student/model.safetensors").exists()
    assert not (run / "checkpoints").exists()
    page = (run / "report.html").read_text()
    assert f"{len(rows)} of 60 examples selected" in page
    assert "Taken first" in page
    assert page.count("<svg") == 3
    covered = summary["covered"]
    assert [row["round"] for row in covered] == list(range(1, summary["rounds"] + 1))
    assert 0 < covered[-1]["cross_entropy"] < covered[0]["cross_entropy"]
    assert covered[-1]["cross_entropy"] < covered[-1]["by_chance"]
    assert f"{covered[-1]['cross_entropy']:.3f}" in page
    assert (
        '<div class="figure">60</div><div class="note">examples passed forward for their losses</div>' in page
    )
    assert shown(summary)[0][-1] == "after"


@pytest.mark.server
def test_what_a_reference_asks_for_is_said_and_what_the_paper_does_is_another_look(
    prefect_server, make, tmp_path, pool
):
    from flows.lead import lead

    random = np.random.default_rng(8)
    like = [dict(zip(("question", "answer"), sums(random), strict=True)) for _ in range(9)]
    reference = write_lines(tmp_path / "like.jsonl", like)
    summary = lead(make("r", reference=str(reference)))
    assert summary["reference_examples"] == 9
    assert summary["extra_forward_passes"] == 0
    assert summary["forward_passes_before"] == 60 + 9
    page = (tmp_path / "lead/r/report.html").read_text()
    assert "chosen for the answers of 9 examples of a reference" in page
    assert "examples passed forward for their losses<" in page
    assert "in units of the length of its own gradient" in page
    summary = lead(make("drawn", reference=str(reference), arms="difficulty", choice="drawn"))
    assert summary["extra_forward_passes"] == 0
    assert summary["forward_passes_before"] == 3 * 60 + 9
    page = (tmp_path / "lead/drawn/report.html").read_text()
    assert "chosen for what helps 9 examples of a reference" in page
    assert "for their losses, again without their questions, and forward and back" in page
    assert "lowers the loss of the reference" in page


@pytest.mark.server
def test_a_run_that_was_stopped_ends_with_the_tables_and_the_model_of_one_that_was_not(
    prefect_server, make, tmp_path, monkeypatch
):
    from flows.lead import lead
    from tasks.lead import steps

    lead(make("whole"))
    real, calls = steps.Trainer.step, 0

    def fails_once(self: Any, *batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:  # in the second round
            raise OSError("the disk went away")
        return real(self, *batch)

    monkeypatch.setattr(steps.Trainer, "step", fails_once)
    with pytest.raises(OSError, match="went away"):
        lead(make("stopped"))
    lead(make("stopped", resume=True))
    for name in (*TABLES, "student/model.safetensors"):
        assert (tmp_path / "lead/stopped" / name).read_bytes() == (
            tmp_path / "lead/whole" / name
        ).read_bytes(), name


@pytest.mark.server
def test_a_model_and_messages_that_are_given_are_used_and_left_as_they_were(
    prefect_server, make, tmp_path, causal_model
):
    from flows.lead import lead

    data = write_lines(tmp_path / "messages.jsonl", [FORMATS["messages"](row) for row in examples()])
    before = (causal_model / "model.safetensors").read_bytes()
    summary = lead(make("r", model=str(causal_model), data=str(data), test="", round_share=1.0))
    assert summary["pool"] + summary["test_examples"] == 60
    assert summary["rounds"] >= 1
    assert (causal_model / "model.safetensors").read_bytes() == before
    assert (tmp_path / "lead/r/student/model.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data", "none.jsonl"], f"--data {Path('none.jsonl').absolute()}: no such file"),
        (["--test", "none.jsonl"], f"--test {Path('none.jsonl').absolute()}: no such file"),
        (["--reference", "none.jsonl"], f"--reference {Path('none.jsonl').absolute()}: no such file"),
        (["--reference", "doctest:json", "--reward", "fall"], "--reward fall: does not look at --reference"),
        (["--question-field", "prompt"], "no item has the field prompt"),
        (["--model", "no such/model!"], "--model no such/model!: no such folder"),
        (["--encoder", "./nowhere"], "--encoder ./nowhere: no such folder"),
        (["--budget", "0"], "--budget: "),
        (["--visits", "0"], "--visits: "),
        (["--gamma", "2"], "--gamma: "),
        (["--change", "up"], "--change: "),
    ],
)
def test_what_cannot_work_is_one_line(
    pool: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    given = {"--data": str(pool[0]), "--test": str(pool[1])}
    words = [word for name, value in given.items() if name not in flags for word in (name, value)]
    assert main(["lead", "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
