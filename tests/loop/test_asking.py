"""The student that has learnt the reference: on what, for how long, and what it says of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.corpus.target import Target
from tasks.loop import asking, students
from tasks.train.train import count_tokens
from tasks.train.training import Training
from tests.loop.trainings import KEPT, LONGEST, REFERENCE, settings


def test_the_student_that_is_asked_has_learnt_the_reference_and_nothing_else(
    run: Path, trained: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings(epochs=30.0, learning_rate=1e-2)
    facts = asking.taught(run, own, student={"student": students.BASE})
    tokens = 30 * count_tokens(run / students.BASE, REFERENCE, 512)
    assert trained == [(len(REFERENCE), tokens)]
    assert facts["files"] == [asking.TAUGHT]
    monkeypatch.setattr(asking, "PAIRS_PER_JOB", 4)
    reductions = asking.reductions_by(run, own, facts)
    assert reductions is not None
    pairs = [*REFERENCE, ("Who was at the door?", "A farmer with two baskets.")]
    reduced, lengths = reductions(pairs)
    assert reduced[:-1].min() > reduced[-1]
    assert lengths[:-1].sum() * 30 == tokens
    whole, _ = asking.loss_reductions_of(
        pairs,
        prior=run / students.BASE,
        conditional=run / asking.TAUGHT,
        training=Training(),
        student="tiny",
    )
    np.testing.assert_allclose(reduced, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("most", "passes"), [(100_000, 3.0), (150, None)])
def test_the_reference_is_learnt_for_no_longer_than_the_selection(
    run: Path, trained: list[tuple[int, int]], most: int, passes: float | None
) -> None:
    asking.taught(run, settings(epochs=3.0, train_tokens=most), student={"student": students.BASE})
    planned = most if passes is None else passes * count_tokens(run / students.BASE, REFERENCE, 512)
    assert planned - LONGEST < trained[0][1] <= planned


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ({}, True),
        ({"train": "never"}, False),
        ({"strategy": "ucb", "compare": ["dsir"]}, False),
        ({"strategy": "ucb", "compare": ["linucb"]}, True),
        ({"strategy": "dsir", "keep": 0.3}, True),
    ],
)
def test_who_asks_a_student(
    run: Path, trained: list[tuple[int, int]], own: dict[str, Any], asked: bool
) -> None:
    facts = asking.taught(run, settings(epochs=1.0, **own), student={"student": students.BASE})
    assert bool(trained) is asked
    assert (asking.reductions_by(run, settings(**own), facts) is not None) is asked


def test_how_many_pairs_to_keep_is_learnt_by_students_judged_on_the_reference(
    run: Path, trained: list[tuple[int, int]]
) -> None:
    own = settings(epochs=30.0, learning_rate=1e-2, trainer="lead")
    losses = asking.losses_by(run, own, {"student": asking.TAUGHT, "prior": students.BASE})
    assert losses is not None
    others = [("Who was at the door?", "A farmer with two baskets.")] * 6
    like, unlike = losses([KEPT[:6], others])
    assert like < unlike
    assert [count for count, _ in trained] == [6, 6]
    assert not (run / asking.TAUGHT).exists()
    assert losses([KEPT[:6]]) == [like]
    # The test part has no say in it.
    Target(reference=Target.load(run / "target").reference, test=[]).save(run / "target")
    assert losses([KEPT[:6]]) == [like]
