"""The check of what a run leaves: every pair once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.crowd.cluster import finish, rounds, stages
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.run.expectations import GateFailed
from tests.csv_files import written


@pytest.mark.parametrize(
    "pairs", [[["New York", "City"], ["New", "York City"]], [["New, York", "City"], ["New", "York, City"]]]
)
def test_pairs_whose_ids_read_alike_together_pass_and_one_pair_twice_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs: list[list[str]]
) -> None:
    scores = written(
        tmp_path / "p.csv", ["left_id", "right_id", "probability"], [[*pair, 0.7] for pair in pairs]
    )
    answers = written(
        tmp_path / "a.csv", ["left_id", "right_id", "worker", "label"], [[*pair, "w", 1] for pair in pairs]
    )
    settings = ClusterSettings(
        pairs=scores, answers=[answers], redundancy=1, merge="mv", run="r", runs_dir=str(tmp_path)
    )
    run = tmp_path / "run"
    run.mkdir()
    stages.read(run, settings, {})
    played = [rounds.collect(run, settings, plan) for plan in rounds.planned(run, settings)]
    stages.answered(run, settings, played)
    facts = finish.tables(run, settings, {})
    finish.gate(run, settings, facts)
    first = next(finish.pair_rows(run, settings))
    monkeypatch.setattr(finish, "pair_rows", lambda *_: [first, first])
    with pytest.raises(GateFailed, match="unique"):
        finish.gate(run, settings, facts)
