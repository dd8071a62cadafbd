"""EQUAL with --clean wrong-event: doubtful pairs are left out of training, tables and export, and told of."""

from __future__ import annotations

import numpy as np
import pytest

from flows.__main__ import main
from tasks.storage.tables import read_rows


@pytest.mark.server
def test_doubtful_pairs_are_rejected_before_the_student_is_trained(
    prefect_server, settings, tmp_path, without_dask, monkeypatch
):
    from flows.equal import equal
    from tasks.loop import clean

    monkeypatch.setattr(clean, "FEWEST_PAIRS", 8)
    monkeypatch.setattr(clean, "PAIR_EPOCHS", 2)
    given = {"train": "end", "keep": 0.8, "epochs": 1.0}
    cleaned = equal(settings(tmp_path, "cleaned", **given, clean="wrong-event"))
    run = tmp_path / "equal/cleaned"
    scores = {row["id"]: row for row in read_rows(run / "wrong_events.parquet")}
    doubted = {id for id, row in scores.items() if row["p_clean"] < 0.5}
    kept = {row["id"] for row in read_rows(run / "pairs.parquet")}
    assert kept == set(scores) - doubted  # all that were kept before were looked at
    assert cleaned["pairs"] == len(kept)
    left = {
        row["id"]
        for row in read_rows(run / "rejected.parquet")
        if row["reason"] == "its answer is likely wrong"
    }
    assert left == doubted
    assert cleaned["train_tokens"] > 0
    marks = np.load(run / "rounds/03/clean.npy")
    assert (marks == 0).sum() == len(doubted)
    assert (run / "export").exists()


def test_pairs_are_cleaned_when_all_are_read(corpus, tmp_path, capfd):
    words = ["equal", "--corpus", str(corpus[0]), "--target", str(corpus[1]), "--clean", "wrong-event"]
    assert main([*words, "--runs-dir", str(tmp_path / "runs")]) == 2
    assert (
        "--clean wrong-event: pairs are cleaned when all are read; give --train end" in capfd.readouterr().err
    )
