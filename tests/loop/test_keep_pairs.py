"""Keeping pairs in a run: how many, what of earlier rounds still counts, and what the strategy is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.loop import keep, rounds, students
from tasks.loop.keep import chooses_pairs, kept_mask, newly_kept
from tasks.loop.plan import make_plan
from tasks.loop.pulls import extract_rows, round_folder
from tasks.loop.settings import EqualSettings
from tasks.run.tables import read_json, read_rows, write_json
from tests.loop.test_rounds import prepared


def played(tmp_path: Path, **changes: Any) -> tuple[Path, EqualSettings]:
    """A run of three rounds. The corpus has 120 documents, of which 36 are read."""
    run, own, clusters = prepared(tmp_path, strategy="linucb", **changes)
    warm = extract_rows(run, run, own, 0, [])
    state = rounds.start(run, own, warm=warm, clusters=clusters, strategy=own.strategy)
    plan = make_plan(120, clusters["clusters"], 0, own.strategy, own)
    for number in range(1, plan.rounds + 1):
        given: dict[str, Any] = {"number": number, "strategy": own.strategy}
        chosen = rounds.choose(run, own, plan=plan.as_dict(), before=state, **given)
        extracted = rounds.extract(run, own, number=number, chosen=chosen)
        state = rounds.reward(run, own, before=state, extracted=extracted, **given)
        assert f"rounds/{number:02d}/kept.npy" in state["files"]
    return run, own


def read_pairs(run: Path, last: int) -> list[dict[str, Any]]:
    return [row for n in range(last + 1) for row in read_rows(round_folder(run, n) / "pairs.parquet")]


def test_half_of_all_pairs_so_far_is_kept_after_every_round(tmp_path: Path) -> None:
    run, _ = played(tmp_path)
    for number in (1, 2, 3):
        mask = kept_mask(run, number)
        assert mask is not None
        assert mask.sum() == round(len(mask) / 2) > 0
        assert len(mask) == len(read_pairs(run, number))
    pairs = [pair for pair, own in zip(read_pairs(run, 3), kept_mask(run, 3), strict=True) if own]
    assert students.kept_pairs(run, 3) == [(pair["question"], pair["answer"]) for pair in pairs]
    later = [(pair["question"], pair["answer"]) for pair in pairs if pair["round"] == 3]
    assert students.kept_pairs(run, 3, first=3) == later
    assert sum(map(len, rounds.kept_vectors(run, 3))) == len(pairs)


@pytest.mark.parametrize(("rate", "bytes_that_fit"), [(None, 2000), (2.0, 1000)])
def test_what_is_kept_fits_the_training(tmp_path: Path, rate: float | None, bytes_that_fit: int) -> None:
    """1,500 tokens in 3 passes are 500 of a pass, of as many bytes as the student reads in one, 4 by default."""
    run, own = played(tmp_path)
    if rate is not None:
        write_json(run / keep.RATE, rate)
    own = own.model_copy(update={"train_tokens": 1500, "epochs": 3.0})
    keep.choose_pairs(run, own, run, 3, rounds._strategy(run, own, "linucb", run))
    pairs = read_pairs(run, 3)
    mask = kept_mask(run, 3)
    sizes = np.array([len(f"{pair['question']}{pair['answer']}".encode()) for pair in pairs])
    assert bytes_that_fit - 2 * sizes.max() < sizes[mask].sum() <= bytes_that_fit
    assert 0 < mask.sum() < len(pairs) / 2


def test_pairs_count_as_new_when_they_were_not_kept_before(tmp_path: Path) -> None:
    run, _ = played(tmp_path)
    for number in (2, 3):
        before, now = kept_mask(run, number - 1), kept_mask(run, number)
        texts = [pair["id"] for pair in read_pairs(run, number)]
        old = {text for text, own in zip(texts, before, strict=False) if own}
        assert newly_kept(run, number) == sum(
            own and text not in old for text, own in zip(texts, now, strict=True)
        )
    assert newly_kept(run, 1) == kept_mask(run, 1).sum()


def test_the_strategy_is_told_what_each_document_gained_also_when_all_pairs_are_kept(tmp_path: Path) -> None:
    run, _ = played(tmp_path, keep=1.0)
    assert kept_mask(run, 3).all()
    state = read_json(round_folder(run, 3) / "state.json")
    rows = [read["row"] for n in range(4) for read in read_rows(round_folder(run, n) / "reads.parquet")]
    assert state["rows"] == rows
    assert len(set(rows)) == 36
    gains = dict(zip(state["rows"], state["gains"], strict=True))
    assert sum(gain > 0 for gain in gains.values()) > 3
    reads = [read for n in range(4) for read in read_rows(round_folder(run, n) / "reads.parquet")]
    assert all(gains[read["row"]] == 0 for read in reads if not read["pairs"])


@pytest.mark.parametrize(
    ("strategy", "share", "chooses"),
    [("linucb", None, True), ("ucb-prior", None, False), ("dsir", 0.5, True), ("random", None, False)],
)
def test_who_chooses_pairs(strategy: str, share: float | None, chooses: bool) -> None:
    own = EqualSettings(corpus=["c"], target="t", strategy=strategy, keep=share)
    assert chooses_pairs(own, strategy) is chooses


def test_a_strategy_that_only_ranks_can_keep_as_well(tmp_path: Path) -> None:
    run, own, clusters = prepared(tmp_path, strategy="random", keep=0.25)
    extract_rows(run, run, own, 0, list(range(40)))
    rounds.start(run, own, warm={}, clusters=clusters, strategy="random")
    mask = kept_mask(run, 0)
    assert mask.sum() == round(len(mask) / 4)
    nearest = np.array([pair["similarity"] for pair in read_pairs(run, 0)])
    assert nearest[mask].mean() > nearest[~mask].mean()
