"""Keeping pairs in a run: how many, what of earlier rounds still counts, and what the strategy is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.loop import keep, rounds, students
from tasks.loop.asking import losses_by
from tasks.loop.keep import chooses_pairs, kept_mask, newly_kept
from tasks.loop.plan import make_plan
from tasks.loop.pulls import extract_rows, round_folder
from tasks.loop.settings import EqualSettings
from tasks.run.seeds import integer
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, read_rows
from tests.loop.test_rounds import prepared


class Student:
    """Stands where the student does: answers with more digits teach it more, each costs 10 tokens."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, pairs: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        self.asked += pairs
        return np.array([worth(answer) for _, answer in pairs]), np.full(len(pairs), 10)


def worth(answer: str) -> float:
    return sum(map(str.isdigit, answer)) + len(answer) / 1000


class Learners:
    """Stand where students do that learn pairs: so many leave the lowest loss."""

    def __init__(self, best: int) -> None:
        self.best, self.lists = best, list[list[tuple[str, str]]]()

    def __call__(self, lists: list[list[tuple[str, str]]]) -> list[float]:
        self.lists += lists
        return [abs(np.log(len(pairs) / self.best)) for pairs in lists]


def played(
    tmp_path: Path, student: Student | None = None, learners: Learners | None = None, **changes: Any
) -> tuple[Path, EqualSettings]:
    """A run of three rounds. The corpus has 120 documents, of which 36 are read."""
    run, own, clusters = prepared(tmp_path, strategy="linucb", **changes)
    warm = extract_rows(run, run, own, 0, [])
    state = rounds.start(run, own, warm=warm, clusters=clusters, strategy=own.strategy)
    plan = make_plan(120, clusters["clusters"], 0, own.strategy, own)
    for number in range(1, plan.rounds + 1):
        given: dict[str, Any] = {"number": number, "strategy": own.strategy}
        chosen = rounds.choose(run, own, plan=plan.as_dict(), before=state, **given)
        extracted = rounds.extract(run, own, number=number, chosen=chosen)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rounds, "reductions_by", lambda *given: student)
            patch.setattr(rounds, "losses_by", lambda *given: learners)
            state = rounds.reward(
                run,
                own,
                before=state,
                extracted=extracted,
                taught={},
                weigh=rounds.weighs(number, plan.rounds),
                **given,
            )
        assert (f"rounds/{number:02d}/reductions.npy" in state["files"]) is (student is not None)
        assert f"rounds/{number:02d}/kept.npy" in state["files"]
    return run, own


def read_pairs(run: Path, last: int) -> list[dict[str, Any]]:
    return [row for n in range(last + 1) for row in read_rows(round_folder(run, n) / "pairs.parquet")]


def test_a_quarter_of_all_pairs_so_far_is_kept_after_every_round(tmp_path: Path) -> None:
    run, _ = played(tmp_path)
    for number in (1, 2, 3):
        mask = kept_mask(run, number)
        assert mask is not None
        assert mask.sum() == round(len(mask) / 4) > 0
        assert len(mask) == len(read_pairs(run, number))
    pairs = [pair for pair, own in zip(read_pairs(run, 3), kept_mask(run, 3), strict=True) if own]
    assert students.kept_pairs(run, 3) == [(pair["question"], pair["answer"]) for pair in pairs]
    later = [(pair["question"], pair["answer"]) for pair in pairs if pair["round"] == 3]
    assert students.kept_pairs(run, 3, first=3) == later
    assert sum(map(len, rounds.kept_vectors(run, 3))) == len(pairs)


def nearest_half(run: Path, own: EqualSettings) -> np.ndarray:
    vectors = np.concatenate([load_array(round_folder(run, n) / "vectors.npy") for n in range(4)])
    reference = load_array(run / "stages/reference.npy")
    half = keep.keep_nearest(vectors, reference, round(len(vectors) / 2), seed=integer(own.seed, "keep"))
    return half.mask


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, "quarter"),
        ({"keep": 0.1}, "tenth"),
        ({"train_tokens": 150, "epochs": 3.0}, "five"),  # 50 tokens of a pass
        ({"train_tokens": 150, "epochs": 3.0, "keep": 0.4}, "five"),  # a share is cut as well
        ({"train_tokens": 1, "epochs": 3.0}, "one"),  # nothing fits: one all the same
        ({"train_tokens": 100_000}, "half"),
        ({"train_tokens": 100_000, "keep": 0.1}, "tenth"),
    ],
)
def test_of_the_nearest_half_those_are_kept_that_teach_the_student_most(
    tmp_path: Path, changes: dict[str, Any], kept: str
) -> None:
    run, own = played(tmp_path, Student(), **changes)
    pairs, mask, half = read_pairs(run, 3), kept_mask(run, 3), nearest_half(run, own)
    n = len(pairs)
    count = {"half": round(n / 2), "quarter": round(n / 4), "tenth": round(n / 10), "five": 5, "one": 1}[kept]
    assert mask.sum() == count < n
    assert not (mask & ~half).any()
    values = np.array([worth(pair["answer"]) for pair in pairs])
    assert values[mask].min() >= values[half & ~mask].max(initial=0)


def test_as_many_of_the_best_are_kept_as_leave_the_student_the_lowest_loss(tmp_path: Path) -> None:
    learners = Learners(best=7)
    run, own = played(tmp_path, Student(), learners)
    pairs, mask, half = read_pairs(run, 3), kept_mask(run, 3), nearest_half(run, own)
    tried = keep.tried_amounts(run, 3)
    assert [amount["round"] for amount in tried] == [1, 2, 3]  # all of three rounds: 1, 2 and the last
    assert all(amount["kept"] == kept_mask(run, amount["round"]).sum() for amount in tried)
    assert 5 <= mask.sum() <= 10  # as near to 7 as doubling and halving came
    assert tried[-1]["pairs"] == len(pairs)
    values = np.array([worth(pair["answer"]) for pair in pairs])
    assert values[mask].min() >= values[half & ~mask].max()
    best = {(pairs[row]["question"], pairs[row]["answer"]) for row in np.flatnonzero(mask)}
    assert best in [set(one) for one in learners.lists]
    assert tried[-1]["tried"] == sorted(tried[-1]["tried"], key=lambda one: one["pairs"])


def test_between_trials_the_share_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "weighs", lambda number, of: number == 1)
    run, _ = played(tmp_path, Student(), Learners(best=3))
    (amount,) = keep.tried_amounts(run, 3)
    for number in (1, 2, 3):
        mask = kept_mask(run, number)
        assert mask.sum() == round(len(mask) * amount["kept"] / amount["pairs"])


@pytest.mark.parametrize("given", [{"keep": 0.25}, {"train_tokens": 100_000}])
def test_nothing_is_tried_where_it_is_said_how_many(tmp_path: Path, given: dict[str, Any]) -> None:
    own = EqualSettings(corpus=["c"], target="t", **given)
    assert losses_by(tmp_path, own, {"student": "taught", "prior": "base"}) is None
    assert losses_by(tmp_path, EqualSettings(corpus=["c"], target="t"), {"student": None}) is None


@pytest.mark.parametrize(
    ("best", "start", "most", "tried"),
    [
        (100, 32, 1000, [32, 64, 128, 256]),
        (40, 32, 1000, [16, 32, 64]),
        (5, 32, 1000, [2, 4, 8, 16, 32, 64]),
        (1, 4, 1000, [1, 2, 4, 8]),  # not fewer than one
        (500, 32, 100, [32, 64, 100]),  # not more than there are
        (500, 100, 100, [50, 100]),
        (500, 49, 100, [49, 100]),  # and no 98
        (1, 1, 1, [1]),
    ],
)
def test_amounts_are_doubled_or_halved_as_long_as_that_helps(
    best: int, start: int, most: int, tried: list[int]
) -> None:
    found = keep.best_amount(lambda amounts: [abs(np.log(one / best)) for one in amounts], start, most)
    assert sorted(found) == tried


def test_it_is_tried_when_there_is_twice_as_much_and_in_the_end() -> None:
    assert [number for number in range(1, 13) if rounds.weighs(number, 12)] == [1, 2, 4, 8, 12]


def test_the_student_is_asked_once_and_only_of_pairs_that_might_be_kept(tmp_path: Path) -> None:
    student = Student()
    run, _ = played(tmp_path, student)
    pairs = [(pair["question"], pair["answer"]) for pair in read_pairs(run, 3)]
    assert len(pairs) == len(set(pairs))
    assert len(student.asked) == len(set(student.asked))
    assert set(student.asked) < set(pairs)
    known = load_array(round_folder(run, 3) / keep.REDUCTIONS)
    asked = [pair in set(student.asked) for pair in pairs]
    assert (~np.isnan(known[:, 0])).tolist() == asked
    assert known[asked, 0].tolist() == [
        worth(answer) for (_, answer), own in zip(pairs, asked, strict=True) if own
    ]


def test_more_than_half_are_kept_where_more_are_asked_for(tmp_path: Path) -> None:
    run, _ = played(tmp_path, Student(), keep=0.8)
    mask = kept_mask(run, 3)
    assert mask.sum() == round(0.8 * len(mask))


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
