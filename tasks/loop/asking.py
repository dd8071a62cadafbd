"""Students that are asked which pairs to keep, one that has learnt the reference, and how many, some that learn the pairs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.loop.keep import Losses, Reductions, chooses_pairs
from tasks.loop.settings import EqualSettings
from tasks.loop.students import QA, Facts, example_pairs, on_worker, sample_of, train, training_of, where
from tasks.run import terminal
from tasks.run.parallel import current_mapper, serial
from tasks.run.seeds import integer
from tasks.train.threads import threads_for

TAUGHT = "students/taught"
PAIRS_PER_JOB = 64  # so few that a round has work for several workers; a fifth of it is loading the students


@on_worker
def taught(run: Path, settings: EqualSettings, student: Facts) -> Facts:
    """The student after `epochs` passes over the reference alone, or as much of them as `train_tokens` allow.

    Compared with the student before, it tells which pairs teach the same.
    """
    if not asks_student(settings):
        return {"files": [], "student": None, "prior": None}
    from tasks.train.train import count_tokens

    reference = example_pairs(Target.load(run / "target").reference)
    tokens = None
    if settings.train_tokens is not None:
        once = count_tokens(where(run, student["student"]), reference, settings.sequence_tokens)
        tokens = min(settings.train_tokens, round(settings.epochs * once))
    training = replace(training_of(settings, tokens), seed=integer(settings.seed, "taught"))
    train(run, settings, student["student"], TAUGHT, reference, training, test=[])
    return {"files": [TAUGHT], "student": TAUGHT, "prior": student["student"]}


def asks_student(settings: EqualSettings) -> bool:
    """Whether a student is asked which pairs to keep."""
    return settings.train != "never" and any(
        chooses_pairs(settings, name) for name in (settings.strategy, *settings.compare)
    )


def reductions_by(run: Path, settings: EqualSettings, taught: Facts | None) -> Reductions | None:
    """What the student before and after it was taught the reference says of pairs; None where there is no such student.

    Tiny students look at the pairs on the workers.
    """
    if taught is None or taught["student"] is None:
        return None
    look = partial(
        loss_reductions_of,
        prior=where(run, taught["prior"]),
        conditional=where(run, taught["student"]),
        training=training_of(settings, None),
        student=settings.student,
    )
    if settings.student != "tiny":
        return look  # here, where its GPU is

    def on_workers(pairs: QA) -> tuple[np.ndarray, np.ndarray]:
        parts = [pairs[first : first + PAIRS_PER_JOB] for first in range(0, len(pairs), PAIRS_PER_JOB)]
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for one in current_mapper()(look, parts):
            found.append(one)
            terminal.current().progress("pairs shown to the student", sum(len(done[0]) for done in found))
        return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])

    return on_workers


def loss_reductions_of(pairs: QA, *, student: str, **named: Any) -> tuple[np.ndarray, np.ndarray]:
    """`tasks.train.reduction.loss_reductions`, of a tiny student on one thread."""
    from tasks.train.reduction import loss_reductions

    with threads_for(student):
        return loss_reductions(pairs, **named)


def losses_by(run: Path, settings: EqualSettings, taught: Facts | None) -> Losses | None:
    """What students say who learn pairs from where the run's began; None where how many to keep is given, or there are no students.

    Tiny ones learn side by side on the workers.
    """
    if (
        taught is None
        or taught["student"] is None
        or settings.keep is not None
        or settings.train_tokens is not None
    ):
        return None
    mapper = current_mapper() if settings.student == "tiny" else serial
    learn = partial(_loss_after, run=run, settings=settings, student=taught["prior"])

    def losses(lists: list[QA]) -> list[float]:
        terminal.current().progress("pairs tried", max(map(len, lists)))
        return list(mapper(learn, lists))

    return losses


def _loss_after(pairs: QA, *, run: Path, settings: EqualSettings, student: str) -> float:
    """The loss on the reference, at most `round_examples` of it, of a student after `epochs` passes over the pairs."""
    examples = example_pairs(Target.load(run / "target").reference)
    judging = sample_of(examples, settings, "amount")
    plain = settings.model_copy(update={"trainer": "plain"})  # nothing is chosen of what is to be judged
    with threads_for(settings.student):
        return float(
            train(run, plain, student, None, pairs, training_of(settings, None), test=judging)["nll"]
        )
