"""The flow of Quad: a corpus, examples, and a tiny model that is made, or one that is given."""

from __future__ import annotations

import html
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from distributed import default_client

from flows.__main__ import main
from tasks.quad.settings import QuadSettings
from tasks.storage.tables import read_rows

TINY = {
    "budget": 0.1,
    "visits": 3,
    "block": 4,
    "workers": 1,
    "curvature_documents": 24,
    "student_vocabulary": 400,
    "student_width": 32,
    "student_layers": 1,
    "pretrain_tokens": 2000,
    "sequence_tokens": 64,
}
TABLES = ("selected.jsonl", "scores.parquet", "arms.parquet")


@pytest.fixture
def make(corpus: tuple[Path, Path], tmp_path: Path) -> Callable[..., QuadSettings]:
    def settings(run: str, **changes: Any) -> QuadSettings:
        values = {"corpus": [str(corpus[0])], "reference": str(corpus[1]), **TINY, **changes}
        return QuadSettings(runs_dir=str(tmp_path), run=run, **values)

    return settings


@pytest.fixture
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages run in this process."""
    import flows.quad

    monkeypatch.setattr(flows.quad, "workers", nobody)


@contextmanager
def nobody(count: int, scheduler: str) -> Iterator[None]:
    yield


@pytest.fixture(scope="module")
def whole(prefect_server: None, corpus: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without training that nothing stopped, made in this process."""
    import flows.quad

    runs = tmp_path_factory.mktemp("whole")
    given = {"corpus": [str(corpus[0])], "reference": str(corpus[1]), **TINY, "train": False}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(flows.quad, "workers", nobody)
        flows.quad.quad(QuadSettings(runs_dir=str(runs), run="r", **given))
    return runs / "quad/r"


@pytest.mark.server
def test_a_run_selects_trains_judges_and_shows(prefect_server, make, tmp_path, serial):
    from flows.quad import quad, shown

    summary = quad(make("r"))
    run = tmp_path / "quad/r"
    rows = [json.loads(line) for line in (run / "selected.jsonl").read_text().splitlines()]
    scores, visits = read_rows(run / "scores.parquet"), read_rows(run / "arms.parquet")
    assert len(rows) == summary["documents_selected"] > 0
    assert len(scores) == summary["documents_scored"] == sum(visit["documents"] for visit in visits)
    assert summary["documents_scored"] < summary["documents"]
    assert 0 < summary["tokens_selected"] <= summary["budget_tokens"]
    assert {row["id"] for row in rows} <= {row["document_id"] for row in scores}
    assert len({row["document_id"] for row in scores}) == len(scores)
    assert summary["reference_nll_before"] != summary["reference_nll_after"]
    assert json.loads((run / "summary.json").read_text())["seed"] == 0
    assert (run / "student/model.safetensors").exists()
    page = (run / "report.html").read_text()
    assert f"{len(rows)} documents selected" in page
    assert "Least influential" in page
    assert "influence per token" in page
    assert shown(summary)[0][-1] == "after"
    assert summary["below_budget"] is None
    assert "of the budget" not in page
    told = page[page.index("<body>") : page.index('<section id="settings">')]
    assert "visit" not in told  # these, and a threshold, are the bandit's
    assert "threshold" not in told
    assert "<th>last bought</th>" in told
    legend = told[told.index("<figcaption>") : told.index("</figcaption>")]
    assert [f'class="{step}"' in legend for step in ("r0", "r6", "r7")] == [True, True, False]
    assert "not scored" in legend
    assert "rounds. Trained on them" in " ".join(told.split())  # a blank between sentences


@pytest.mark.server
def test_the_report_of_the_bandit_has_visits_and_a_threshold(prefect_server, make, tmp_path, serial):
    from flows.quad import quad

    quad(make("r", strategy="neighbours", train=False))
    page = (tmp_path / "quad/r/report.html").read_text()
    assert "<th>clusters visited</th>" in page
    assert "<th>threshold</th>" in page
    assert "rounds of visits." in page


@pytest.mark.server
def test_a_selection_below_the_budget_is_told_of(prefect_server, make, tmp_path, serial):
    from flows.quad import quad
    from tasks.run.terminal import Plain, shown_on

    lines = io.StringIO()
    with shown_on(Plain(lines)):
        summary = quad(make("r", budget=0.9, scored=0.2, train=False))
    said = summary["below_budget"]
    assert said.startswith(
        f"{summary['tokens_selected']:,} of the budget's {summary['budget_tokens']:,} tokens"
    )
    assert f"warning: selected {said}\n" in lines.getvalue()
    assert summary["tokens_selected"] < summary["budget_tokens"]
    page = html.unescape((tmp_path / "quad/r/report.html").read_text())
    assert f"Selected are {said}." in page


@pytest.mark.server
def test_a_budget_that_no_document_fits_leaves_no_run(prefect_server, make, tmp_path, serial):
    from flows.quad import quad
    from tasks.records import BadInput

    with pytest.raises(BadInput, match="--budget-tokens: 1 tokens, and the shortest document has"):
        quad(make("r", budget_tokens=1))
    assert not (tmp_path / "quad/r").exists()


@pytest.mark.server
def test_a_run_that_was_stopped_ends_with_the_tables_of_one_that_was_not(
    prefect_server, make, whole, tmp_path, serial, monkeypatch
):
    from flows.quad import quad
    from tasks.quad import visits

    real, calls = visits.score_documents, 0

    def fails_once(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("the disk went away")
        return real(*arguments, **named)

    monkeypatch.setattr(visits, "score_documents", fails_once)
    with pytest.raises(OSError, match="went away"):
        quad(make("stopped", train=False))
    quad(make("stopped", train=False, resume=True))
    for name in TABLES:
        assert (tmp_path / "quad/stopped" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.server
def test_workers_score_as_this_process_does_though_one_is_killed_in_the_middle_of_a_round(
    prefect_server, make, whole, tmp_path, monkeypatch
):
    import flows.quad
    from tasks.quad import visits

    real, killed = visits.score_documents, []

    def kills_a_worker(*arguments: Any, **named: Any) -> Any:
        if not killed:
            client = default_client()
            killer = Thread(target=lambda: killed.append(kill_a_busy_worker(client)), daemon=True)
            killer.start()
            found = list(real(*arguments, **named))
            killer.join()
            return found
        return real(*arguments, **named)

    monkeypatch.setattr(visits, "score_documents", kills_a_worker)
    flows.quad.quad(make("there", train=False, workers=2))
    assert killed == [True]
    for name in TABLES:
        assert (tmp_path / "quad/there" / name).read_bytes() == (whole / name).read_bytes()


def kill_a_busy_worker(client: Any) -> bool:
    """Kill the process of a worker that has documents to score, as soon as there is one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (
        busy := [worker for worker, jobs in client.processing().items() if jobs]
    ):
        time.sleep(0.01)
    (pid,) = client.run(os.getpid, workers=busy[:1]).values()
    working = bool(client.processing()[busy[0]])
    os.kill(pid, signal.SIGKILL)
    return working


@pytest.mark.server
def test_a_model_that_is_given_is_used_and_left_as_it_was_by_texts_and_projected_layers(
    prefect_server, make, tmp_path, serial, causal_model
):
    from flows.quad import quad

    before = (causal_model / "model.safetensors").read_bytes()
    texts = [{"text": " ".join(f"word{k % 50}of{n}" for k in range(200))} for n in range(8)]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    given = {"layers": "all", "score": "cosine", "budget_tokens": 300, "projection": 8}
    summary = quad(make("r", model=str(causal_model), reference=str(path), **given))
    assert summary["influence_layers"] == 4
    assert summary["influence_parameters"] == 4 * 8 * 8
    assert summary["reference_examples"] == summary["test_examples"] == 4
    assert summary["reference_nll_before"] > 0
    assert summary["tokens_selected"] <= 300
    assert (causal_model / "model.safetensors").read_bytes() == before
    assert "cosine with the reference" in (tmp_path / "quad/r/report.html").read_text()
    assert (tmp_path / "quad/r/student/model.safetensors").read_bytes() != before


@pytest.mark.server
def test_checkpoints_are_averaged(prefect_server, make, tmp_path, serial, causal_model):
    from flows.quad import quad

    given = {"model": str(causal_model), "train": False, "budget_tokens": 300}
    alone = quad(make("alone", **given))
    twice = quad(make("twice", **given, checkpoints=[str(causal_model)]))
    for name in TABLES:  # the mean of twice the same
        assert (tmp_path / "quad/alone" / name).read_bytes() == (tmp_path / "quad/twice" / name).read_bytes()
    assert (tmp_path / "quad/twice/stages/direction-1.safetensors").exists()
    assert alone["influence_parameters"] == twice["influence_parameters"] > 4 * 8 * 8


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--checkpoints", "there"], "--checkpoints: of a --model that is given"),
        (["--reference", "none.jsonl"], f"--reference {Path('none.jsonl').absolute()}: no such file"),
        (["--model", "no such/model!"], "--model no such/model!: no such folder"),
        (["--tau-quantile", "1"], "--tau-quantile"),
        (["--layers", "heads"], "--layers"),
        (["--corpus"], "--corpus"),
    ],
)
def test_what_cannot_work_is_one_line(
    corpus: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    given = {"--corpus": str(corpus[0]), "--reference": str(corpus[1])}
    words = [word for name, value in given.items() if name not in flags for word in (name, value)]
    assert main(["quad", "--runs-dir", str(tmp_path / "runs"), *words, *flags]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
