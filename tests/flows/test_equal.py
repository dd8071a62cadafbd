"""The whole flow of EQUAL on a small corpus: what it leaves behind, what it may spend, and how it continues."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.loop.settings import EqualSettings
from tasks.storage.tables import ARMS, DOCUMENTS, PAIRS, REJECTED, read_rows

pytestmark = pytest.mark.server

TABLES = ("documents.parquet", "pairs.parquet", "arms.parquet", "rejected.parquet")


class Finished(NamedTuple):
    path: Path
    settings: EqualSettings
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def finished(prefect_server, settings, tmp_path_factory) -> Finished:
    """A run that nothing interrupted, on two Dask workers."""
    from flows.equal import equal

    runs = tmp_path_factory.mktemp("runs")
    chosen = settings(
        runs, "spring", strategy="ucb-prior", workers=2, compare=["random"], train_reference=True
    )
    summary = equal(chosen)
    return Finished(runs / "equal/spring", chosen, summary)


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    return read_rows(run / f"{name}.parquet")


def reads(run: Path) -> dict[str, int]:
    """Round in which each document was read, by its id."""
    return {
        row["document_id"]: int(file.parent.name)
        for file in sorted(run.glob("rounds/*/reads.parquet"))
        for row in read_rows(file)
    }


def hashes(run: Path, names: tuple[str, ...] = TABLES) -> dict[str, str]:
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}


# --- what a run leaves


def test_tables_have_the_declared_schemas(finished):
    schemas = dict(zip(TABLES, (DOCUMENTS, PAIRS, ARMS, REJECTED), strict=True))
    for name, schema in schemas.items():
        assert pq.read_schema(finished.path / name).equals(schema), name


def test_a_run_leaves_the_files_of_its_interface(finished):
    wanted = [
        "summary.json",
        "settings.yaml",
        "costs.jsonl",
        "report.html",
        "vectors.npy",
        "student/model.safetensors",
        "export/messages.jsonl",
        "export/sharegpt.jsonl",
        "export/alpaca.jsonl",
        "export/dataset_info.json",
        "export/README.md",
        "expectations/docs/index.html",
    ]
    assert [name for name in wanted if not (finished.path / name).is_file()] == []
    assert not list(finished.path.rglob("*.tmp"))


def test_the_summary_holds_what_others_read(finished):
    summary = json.loads((finished.path / "summary.json").read_text())
    assert summary == json.loads(json.dumps(finished.summary))
    promised = [
        "documents",
        "extracted_documents",
        "tokens_total",
        "tokens_read",
        "pairs",
        "transport",
        "transport_heldout",
        "nll_before",
        "nll_after",
        "seconds",
        "cost",
        "rounds",
        "comparison",
    ]
    assert [name for name in promised if summary.get(name) in (None, [])] == []
    documents = rows(finished.path, "documents")
    assert summary["documents"] == len(documents) == 120
    assert summary["extracted_documents"] == sum(row["extracted"] for row in documents)
    assert summary["tokens_total"] == sum(row["tokens"] for row in documents)
    assert summary["tokens_read"] == sum(row["tokens"] for row in documents if row["extracted"])
    assert summary["pairs"] == len(rows(finished.path, "pairs"))
    assert summary["nll_after"] < summary["nll_before"]


def test_saved_settings_are_those_of_the_run(finished):
    saved = yaml.safe_load((finished.path / "settings.yaml").read_text())
    assert EqualSettings.model_validate(saved) == finished.settings


def test_vectors_are_unit_rows_one_for_each_document(finished):
    vectors = np.load(finished.path / "vectors.npy", allow_pickle=False)
    assert vectors.shape[0] == 120
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_costs_add_up_to_the_summary(finished):
    lines = [json.loads(line) for line in (finished.path / "costs.jsonl").read_text().splitlines()]
    summary = finished.summary
    assert sum(line["documents"] for line in lines) == summary["extracted_documents"]
    assert sum(line["tokens"] for line in lines) == summary["tokens_read"]
    assert sum(line["cost"] for line in lines) == pytest.approx(summary["cost"])
    assert summary["cost"] == pytest.approx(summary["tokens_read"] * finished.settings.price / 1e6)
    assert [line["round"] for line in lines] == [0, 1, 2, 3]
    assert {line["cost_paid"] for line in lines} == {0.0}  # rules are free


def test_the_comparison_is_with_the_budget_of_the_run_and_not_in_its_tables(finished):
    (other,) = finished.summary["comparison"]
    assert other["strategy"] == "random"
    assert other["documents"] == finished.summary["extracted_documents"]
    assert len(other["rounds"]) == len(finished.summary["rounds"]) == 3


# --- what it may spend


def test_the_budget_is_reached_and_never_exceeded(finished):
    budget = math.floor(0.3 * 120)
    curve = [part["documents"] for part in finished.summary["rounds"]]
    assert curve == sorted(curve)
    assert curve[-1] == finished.summary["extracted_documents"] == budget


def test_the_warm_up_is_a_tenth_of_the_budget_and_counts(finished):
    assert Counter(reads(finished.path).values())[0] == round(0.1 * 36)


def test_no_document_is_extracted_twice(finished):
    from tasks.extract.store import ExtractionStore

    with ExtractionStore(finished.path.parents[1] / "extractions.sqlite") as store:
        assert set(store.calls().values()) == {1}


# --- lineage


def test_documents_say_when_they_were_read(finished):
    read = reads(finished.path)
    for document in rows(finished.path, "documents"):
        assert document["extracted"] == (document["id"] in read)
        assert document["round"] == read.get(document["id"])
        assert (document["pairs"] is None) == (not document["extracted"])


def test_every_pair_holds_its_answer_at_its_span(finished):
    texts = {row["id"]: row["text"] for row in rows(finished.path, "documents")}
    for pair in rows(finished.path, "pairs"):
        text = texts[pair["document_id"]]
        assert 0 <= pair["start"] < pair["end"] <= len(text)
        assert pair["answer"] in text[pair["start"] : pair["end"]]


def test_lineage_leads_from_a_pair_to_the_pull_that_bought_it(finished):
    documents = {row["id"]: row for row in rows(finished.path, "documents")}
    pulls = {row["pull"]: row for row in rows(finished.path, "arms")}
    pairs = rows(finished.path, "pairs")
    for pair in pairs:
        document, pull = documents[pair["document_id"]], pulls[pair["pull"]]
        assert pair["cluster"] == document["cluster"] == pull["arm"]
        assert pair["round"] == document["round"] == pull["round"]
        assert pair["arm_reward"] == pytest.approx(pull["reward"], abs=1e-6)
        assert pair["source"] == document["source"]
    bought = Counter(pair["pull"] for pair in pairs)
    assert {number: pull["pairs"] for number, pull in pulls.items() if pull["pairs"]} == bought
    kept = Counter(pair["document_id"] for pair in pairs)
    assert {id_: row["pairs"] for id_, row in documents.items() if row["pairs"]} == kept


def test_arms_keep_count_of_what_is_left(finished):
    read_of: Counter[int] = Counter()
    pulls_of: Counter[int] = Counter()
    for pull in rows(finished.path, "arms"):
        read_of[pull["arm"]] += pull["documents"]
        pulls_of[pull["arm"]] += 1
        # Several picks of one arm in one round are one row.
        assert pull["pulls"] >= pulls_of[pull["arm"]]
        # What the warm-up read is known at once to all of round 0's rows.
        assert pull["remaining"] == pull["size"] - read_of[pull["arm"]]


# --- how it shows in Prefect


def test_rounds_are_subflow_runs_with_their_artifacts(finished):
    from prefect.artifacts import Artifact
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    with get_client(sync_client=True) as client:
        names = FlowRunFilterName(any_=[f"round {number} of 3" for number in (1, 2, 3)])
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=names))
    assert {run.name for run in runs} == {f"round {number} of 3" for number in (1, 2, 3)}
    assert all(run.parent_task_run_id for run in runs)
    for key in ("equal-progress", "equal-arms", "equal-cost"):
        assert Artifact.get(key) is not None, key


# --- the same again


def test_a_finished_run_that_is_resumed_changes_nothing_and_reads_nothing(finished, without_dask):
    from flows.equal import equal
    from tasks.extract.store import ExtractionStore

    before = hashes(finished.path)
    store_path = finished.path.parents[1] / "extractions.sqlite"
    with ExtractionStore(store_path) as store:
        calls = store.calls()
    summary = equal(finished.settings.model_copy(update={"resume": True}))
    assert hashes(finished.path) == before
    with ExtractionStore(store_path) as store:
        assert store.calls() == calls
    assert summary["seconds"]["all"] == finished.summary["seconds"]["all"]
    same = {name: value for name, value in summary.items() if name != "seconds"}
    assert same == {name: value for name, value in finished.summary.items() if name != "seconds"}


def test_the_same_settings_give_the_same_bytes_with_or_without_workers(
    finished, settings, tmp_path, without_dask
):
    from flows.equal import equal

    summary = equal(settings(tmp_path, "again", strategy="ucb-prior"))
    assert hashes(tmp_path / "equal/again") == hashes(finished.path)
    assert summary["nll_after"] == finished.summary["nll_after"]


def test_the_student_chooses_the_same_pairs_with_or_without_workers(
    prefect_server, settings, tmp_path, request
):
    from flows.equal import equal

    equal(settings(tmp_path, "workers", workers=2))
    request.getfixturevalue("without_dask")
    equal(settings(tmp_path, "alone"))
    runs = tmp_path / "equal"
    assert (runs / "alone/rounds/03/reductions.npy").exists()
    assert hashes(runs / "alone") == hashes(runs / "workers")


# --- every strategy, and the settings that change a stage


@pytest.mark.parametrize(
    ("name", "warms_up"),
    [
        ("random", False),
        ("everything", False),
        ("mean-similarity", False),
        ("dsir", False),
        ("nearest-cluster", False),
        ("tsds", False),
        ("linucb", False),
        ("ucb", True),
        ("ucb-paper", True),
        ("ucb-prior", True),
        ("thompson", True),
    ],
)
def test_a_strategy_spends_its_budget_once(finished, tmp_path, name, warms_up):
    from tasks.loop import compare

    run = tmp_path / "runs/equal/copy"
    shutil.copytree(finished.path, run)
    settings = finished.settings.model_copy(update={"train": "never", "runs_dir": str(tmp_path / "runs")})
    clusters = len(json.loads((run / "stages/terms.json").read_text()))
    facts = compare.strategy(
        run,
        settings,
        name,
        corpus={"documents": 120},
        clusters={"clusters": clusters},
        student={"student": None},
        taught={"student": None},
        tokens=0,
        in_rounds=False,
    )
    at = run / "compare" / name
    read = [row["row"] for file in at.glob("rounds/*/reads.parquet") for row in read_rows(file)]
    assert facts["documents"] == len(read) == len(set(read)) == (120 if name == "everything" else 36)
    assert bool(read_rows(at / "rounds/00/reads.parquet")) == warms_up
    assert facts["transport_heldout"] > 0


# --- when a stage fails


def test_a_stage_that_fails_once_is_tried_again_and_what_an_earlier_run_read_is_free(
    finished, settings, without_dask, monkeypatch
):
    import flows.equal

    failures = []
    work = flows.equal.reward.function

    def fails_once(*arguments: Any, **named: Any) -> dict[str, Any]:
        if not failures:
            failures.append(1)
            raise RuntimeError("the connection was lost")
        return work(*arguments, **named)

    monkeypatch.setattr(flows.equal.reward, "function", fails_once)
    runs = finished.path.parents[1]
    flows.equal.equal(settings(runs, "retried", strategy="ucb-prior", train="never"))
    assert failures
    assert hashes(runs / "equal/retried") == hashes(finished.path)
    lines = [json.loads(line) for line in (runs / "equal/retried/costs.jsonl").read_text().splitlines()]
    assert sum(line["cached_documents"] for line in lines) == 36
    assert sum(line["cost_paid"] for line in lines) == 0
