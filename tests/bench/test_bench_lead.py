"""The pool of LEAD's benchmark out of an EQUAL run."""

import json
from argparse import Namespace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bench import lead_pool, targets


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    monkeypatch.setattr(lead_pool, "EACH", 30)
    monkeypatch.setattr(lead_pool, "TEST", 10)
    monkeypatch.setattr(
        targets,
        "problems",
        lambda part, count: [{"question": f"{part} {row}", "answer": "1"} for row in range(count)],
    )
    pairs = [
        {"document_id": f"page-{row % 20}", "question": f"page-{row % 20} asks {row}", "answer": str(row)}
        for row in range(60)
    ]
    (tmp_path / "run").mkdir()
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "run" / "pairs.parquet")
    return Namespace(
        out=tmp_path, run=tmp_path / "run", reference=8, task="both", choosing=False, garbled=0.0
    )


def questions(given: Namespace, name: str) -> list[str]:
    lines = (given.out / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line)["question"] for line in lines]


def test_no_document_of_a_run_is_in_two_parts(given):
    lead_pool.write_inputs(given)

    pages = {
        name: {question.split()[0] for question in questions(given, name)} - {"train", "test"}
        for name in ("pool", "test", "reference")
    }
    assert not pages["pool"] & pages["test"]
    assert not pages["pool"] & pages["reference"]
    assert not pages["reference"] & pages["test"]


def test_problems_fill_up_a_small_runs_pool(given):
    lead_pool.write_inputs(given)

    pool = questions(given, "pool")
    assert len(pool) == 60
    assert sum(question.startswith("page") for question in pool) == 27  # of nine documents
