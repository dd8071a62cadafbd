"""The flow of EQUAL with other models, without some stages, and with a stage that cannot be mended."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.loop import alignment
from tasks.records import BadInput, Stopped
from tasks.select.finetune import finetune_encoder
from tasks.storage.tables import read_rows

pytestmark = pytest.mark.server


def test_with_a_transformers_encoder_its_alignment_and_a_model_that_chooses_what_it_trains_on_at_the_end(
    prefect_server, settings, tmp_path, without_dask, encoder_model, causal_model, monkeypatch
):
    from flows.equal import equal

    def as_if_it_helped(*given: Any, **named: Any) -> Any:  # a handful of documents cannot show that it does
        return replace(finetune_encoder(*given, **named), epochs=1)

    monkeypatch.setattr(alignment, "finetune_encoder", as_if_it_helped)

    summary = equal(
        settings(
            tmp_path,
            "models",
            strategy="ucb-prior",
            encoder=str(encoder_model),
            encoder_max_tokens=32,
            align="full",
            reward="similarity",
            student=str(causal_model),
            train="end",
            trainer="lead",
            learning_rate=3e-3,
            compare=["nearest-cluster"],
        )
    )
    run = tmp_path / "equal/models"
    aligned, frozen = (np.load(run / name) for name in ("stages/space.npy", "vectors.npy"))
    assert aligned.shape == frozen.shape == (120, 32)
    assert (run / "stages/aligned-encoder/model.safetensors").is_file()
    assert summary["nll_after"] < summary["nll_before"]
    assert all(part["nll"] is None for part in summary["rounds"])
    assert summary["comparison"][0]["nll"] is not None
    assert (run / "student/config.json").is_file()
    assert all(-1 <= row["reward"] <= 1 for row in read_rows(run / "arms.parquet"))


def test_influence_by_the_student_of_the_round_rewards_arms_and_tells_what_documents_gained(
    prefect_server, settings, tmp_path, without_dask
):
    from flows.equal import equal

    equal(settings(tmp_path, "influence", strategy="ucb", reward="influence", compare=["linucb", "random"]))
    run = tmp_path / "equal/influence"
    for number in range(4):
        here = run / f"rounds/{number:02d}"
        found, pairs = np.load(here / "influence.npy"), read_rows(here / "pairs.parquet")
        assert len(found) == len(pairs)
    arms, sums = read_rows(run / "arms.parquet"), {}
    for number in range(4):
        here = run / f"rounds/{number:02d}"
        clusters = [row["cluster"] for row in read_rows(here / "pairs.parquet")]
        for cluster, own in zip(clusters, np.load(here / "influence.npy"), strict=True):
            sums[cluster] = sums.get(cluster, np.zeros(2)) + own
        for arm in (row for row in arms if row["round"] == number):
            influence, tokens = sums.get(arm["arm"], np.zeros(2))
            assert arm["reward"] == pytest.approx(influence / tokens if tokens else 0.0)
    assert (run / "compare/linucb/rounds/03/influence.npy").exists()
    assert not (run / "compare/random/rounds/03/influence.npy").exists()  # seen by nobody


def test_without_training_or_alignment_nothing_of_either_is_made(
    prefect_server, settings, tmp_path, without_dask
):
    from flows.equal import equal

    summary = equal(settings(tmp_path, "bare", train="never", align="none", strategy="ucb"))
    run = tmp_path / "equal/bare"
    assert not (run / "stages/space.npy").exists()  # the encoder's own space, which is kept once
    assert summary["nll_before"] is summary["nll_after"] is None
    assert not (run / "student").exists()
    assert summary["transport_heldout"] > 0


@pytest.mark.parametrize("train", ["rounds", "end"])
def test_the_default_tries_how_many_to_keep_and_says_what_became_of_the_rest(
    prefect_server, settings, tmp_path, without_dask, train
):
    from flows.equal import equal

    chosen = settings(tmp_path, "tried", train=train)
    assert chosen.strategy == "linucb"
    summary = equal(chosen)
    run = tmp_path / "equal/tried"
    kept, documents = read_rows(run / "pairs.parquet"), read_rows(run / "documents.parquet")
    left = [row for row in read_rows(run / "rejected.parquet") if row["stage"] == "keep"]
    read = sum(row["pairs"] for file in run.glob("rounds/*/reads.parquet") for row in read_rows(file))
    assert len(kept) + len(left) == read > 4
    assert any("nats" in row["detail"] for row in left)
    amount = summary["amounts"][-1]
    assert amount["round"] == len(summary["rounds"])
    assert amount["pairs"] == read
    assert min(amount["tried"], key=lambda one: one["loss"])["pairs"] == amount["kept"]
    assert summary["pairs"] == len(kept) == amount["kept"]
    assert not {row["id"] for row in kept} & {row["id"] for row in left}
    assert sum(row["pairs"] or 0 for row in documents) == len(kept)
    assert sum(row["documents"] for row in read_rows(run / "arms.parquet")) == 36
    exported = (run / "export/messages.jsonl").read_text().splitlines()
    assert len(exported) == len(kept)
    assert summary["nll_after"] < summary["nll_before"]
    alone = equal(settings(tmp_path, "alone", train="never"))  # nobody to ask: the nearest are kept
    assert alone["pairs"] == round(read / 4)
    assert alone["amounts"] == []
    again = read_rows(tmp_path / "equal/alone/documents.parquet", ["id", "round"])
    assert again == [
        {"id": row["id"], "round": row["round"]} for row in documents
    ]  # read whoever the student is


def test_low_rank_adapters_train_in_rounds(prefect_server, settings, tmp_path, without_dask, causal_model):
    pytest.importorskip("peft")
    from flows.equal import equal

    summary = equal(
        settings(
            tmp_path,
            "lora",
            student=str(causal_model),
            lora=True,
            learning_rate=1e-2,
        )
    )
    assert summary["nll_after"] < summary["nll_before"]
    assert (tmp_path / "equal/lora/student/adapter_config.json").is_file()


@pytest.mark.parametrize("error", [BadInput("the target is empty"), Stopped("the budget is spent")])
def test_what_a_retry_cannot_mend_is_not_tried_again(
    prefect_server, settings, tmp_path, without_dask, monkeypatch, error
):
    import flows.equal

    tries = []

    def fails(*arguments: Any, **named: Any) -> dict[str, Any]:
        tries.append(1)
        raise error

    monkeypatch.setattr(flows.equal.read_target, "function", fails)
    with pytest.raises(type(error), match=str(error)):
        flows.equal.equal(settings(tmp_path, "once"))
    assert len(tries) == 1


def test_a_student_that_cannot_be_loaded_shows_before_anything_is_paid(
    prefect_server, settings, tmp_path, without_dask, causal_model
):
    from flows.equal import equal

    broken = shutil.copytree(causal_model, tmp_path / "broken")
    (broken / "model.safetensors").write_text("torn")
    with pytest.raises(BadInput, match="broken: cannot be loaded"):
        equal(settings(tmp_path, "r", student=str(broken)))
    assert not (tmp_path / "equal/r").exists()  # the corrected command can use the name
    assert not (tmp_path / "extractions.sqlite").exists()


def test_a_run_is_not_continued_after_its_target_was_corrected(
    prefect_server, settings, corpus, tmp_path, without_dask, monkeypatch
):
    import flows.equal

    def stops(*arguments: Any, **named: Any) -> dict[str, Any]:
        raise Stopped("the service is down")

    target = shutil.copy(corpus[1], tmp_path / "target.jsonl")
    begun = settings(tmp_path, "r", target=str(target))
    monkeypatch.setattr(flows.equal.read_corpus, "function", stops)
    with pytest.raises(Stopped):
        flows.equal.equal(begun)
    lines = Path(target).read_text().splitlines()
    Path(target).write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(BadInput, match="inputs changed since run r began: target;"):
        flows.equal.equal(begun.model_copy(update={"resume": True}))


@pytest.mark.parametrize(
    ("tries", "begun", "resumes"),
    [(1, False, False), (1, True, False), (2, False, False), (2, True, True)],
)
def test_a_retry_continues_a_run_that_has_a_folder_and_begins_one_that_has_none(
    settings, tmp_path, monkeypatch, tries, begun, resumes
):
    from prefect import runtime

    from tasks.run.folder import create, named

    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", str(tries))
    given = settings(tmp_path, "r")
    if begun:
        create("equal", given, {})
    assert named("equal", given, runtime.flow_run).resume is resumes


def test_two_scheduled_runs_of_one_second_have_names_of_their_own(settings, tmp_path):
    from types import SimpleNamespace

    from tasks.run.folder import named

    at = datetime(2026, 1, 2, 6)
    given = settings(tmp_path, "")
    runs = [SimpleNamespace(run_count=1, scheduled_start_time=at, id=id) for id in ("0a1b2c", "9f8e7d")]
    names = [named("equal", given, run).run for run in runs]
    assert names == ["20260102-060000-0a1b", "20260102-060000-9f8e"]
