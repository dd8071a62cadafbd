"""The student of a run: made once, trained in every round or at the end, judged on the target's test part."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.loop.keep import Reductions, chooses_pairs, kept_mask, newly_kept
from tasks.loop.pulls import CORPUS, round_folder
from tasks.loop.settings import EqualSettings
from tasks.records import Example
from tasks.run import terminal
from tasks.run.folder import digest
from tasks.run.parallel import current_mapper, import_on_workers, serial
from tasks.run.seeds import generator, integer
from tasks.run.tables import iterate_rows, write_json
from tasks.train.threads import one_thread
from tasks.train.training import Training

Facts = dict[str, Any]
QA = list[tuple[str, str]]

BASE = "students/base"
TAUGHT = "students/taught"
PAIRS_PER_JOB = 64  # so few that a round has work for several workers; a fifth of it is loading the students


def on_worker(function: Callable[..., Facts]) -> Callable[..., Facts]:
    """Makes a stage run in a Dask worker when the student is the tiny one, and here otherwise.

    A tiny student is fastest on one thread of a process of its own (two threads wait for each other more than they
    work), and the same whatever the number of cores. A large one takes the whole machine, or its GPU.
    """

    @wraps(function)
    def stage(run: Path, settings: EqualSettings, **arguments: Any) -> Facts:
        if settings.student != "tiny":
            return function(run, settings, **arguments)
        mapper = current_mapper()
        if mapper is serial:
            with one_thread():
                return function(run, settings, **arguments)
        # The worker has no workers of its own, so there this same call runs the function.
        return next(mapper(partial(stage, settings=settings, **arguments), [run]))

    return stage


def expect_students(settings: EqualSettings) -> None:
    """Has the workers import what tiny students need while the documents are encoded, which is work for this process."""
    if settings.student == "tiny" and settings.train != "never":
        import_on_workers("torch", "transformers.models.llama.modeling_llama")


@on_worker
def base(run: Path, settings: EqualSettings, corpus: Facts, target: Facts) -> Facts:
    """The student before any training: the tiny one made on the corpus's raw text, or a model by path or name."""
    from tasks.train.student import make_student

    if settings.train == "never":
        return {"files": [], "student": None, "nll": None, "exact_match": None, "tokens": 0}
    if settings.student == "tiny":
        make_student(
            run / BASE,
            (row["text"] for row in iterate_rows(run / CORPUS, ["text"])),
            vocabulary=settings.student_vocabulary,
            width=settings.student_width,
            layers=settings.student_layers,
            pretrain_tokens=settings.pretrain_tokens,
            sequence_tokens=settings.sequence_tokens,
            seed=integer(settings.seed, "student"),
        )
    student = BASE if settings.student == "tiny" else settings.student
    return {
        "files": [BASE] if settings.student == "tiny" else [],
        "student": student,
        "tokens": 0,
        **_score(run, settings, student, round_test(run, settings)),
    }


@on_worker
def taught(run: Path, settings: EqualSettings, student: Facts) -> Facts:
    """The student after `epochs` passes over the reference alone, or as much of them as `train_tokens` allow.

    Compared with the student before, it tells which pairs teach the same.
    """
    from tasks.train.train import count_tokens

    if not asks_student(settings):
        return {"files": [], "student": None, "prior": None}
    reference = example_pairs(Target.load(run / "target").reference)
    tokens = None
    if settings.train_tokens is not None:
        once = count_tokens(where(run, student["student"]), reference, settings.sequence_tokens)
        tokens = min(settings.train_tokens, round(settings.epochs * once))
    training = replace(_training(settings, tokens), seed=integer(settings.seed, "taught"))
    _train(run, settings, student["student"], TAUGHT, reference, training, test=[])
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
        training=_training(settings, None),
        tiny=settings.student == "tiny",
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


def loss_reductions_of(pairs: QA, *, tiny: bool, **named: Any) -> tuple[np.ndarray, np.ndarray]:
    """`tasks.train.reduction.loss_reductions`, of a tiny student on one thread."""
    from tasks.train.reduction import loss_reductions

    with one_thread() if tiny else nullcontext():
        return loss_reductions(pairs, **named)


def judge(run: Path, settings: EqualSettings, students: Sequence[Facts]) -> Facts:
    """Score students on the whole test part, tiny ones side by side on the workers.

    Returns:
        scores: nll and exact_match of each, both None without a student.
    """
    mapper = current_mapper() if settings.student == "tiny" else serial
    return {"files": [], "scores": list(mapper(partial(judged, run, settings), students))}


def judged(run: Path, settings: EqualSettings, student: Facts) -> Facts:
    """Score a student on the whole test part, here."""
    if student["student"] is None:
        return {"nll": None, "exact_match": None}
    with one_thread() if settings.student == "tiny" else nullcontext():
        return _score(run, settings, student["student"], test_pairs(run))


@on_worker
def train_round(
    run: Path,
    settings: EqualSettings,
    number: int,
    rounds: int,
    student: Facts,
    rewarded: Facts,
    folder: str = "",
    tokens: int | None = None,
    scored: bool = True,
) -> Facts:
    """Train the student a stretch further, on all pairs kept so far; the schedule spans all rounds.

    Args:
        folder: below the run's, of a strategy the run is compared with.
        tokens: to train on; by default the round's share of `train_tokens`, else `epochs` passes over its new pairs.
        scored: score it on `round_examples` of the test part.
    """
    at = run / folder
    kept = kept_pairs(at, number)
    new = newly_kept(at, number)
    if new is None:  # all are kept; the warm-up's are new in round 1
        new = len(kept_pairs(at, number, first=number if number > 1 else 0))
    if tokens is None and settings.train_tokens is not None:
        tokens = share(settings.train_tokens, number, rounds)
    students = at.relative_to(run) / "students"
    log = _train(
        run,
        settings,
        student["student"],
        str(students / f"round-{number:02d}"),
        kept,
        replace(
            _training(settings, tokens),
            # As many tokens as `epochs` passes over the new pairs, drawn from all: earlier pairs are not forgotten.
            epochs=settings.epochs * new / max(1, len(kept)),
            start=(number - 1) / rounds,
            end=number / rounds,
            seed=integer(settings.seed, "train", number),
        ),
        test=round_test(run, settings) if scored else [],
    )
    write_json(round_folder(at, number) / "training.json", log)
    # The one before stays: a kill before this result is stored begins again from it.
    shutil.rmtree(run / students / f"round-{number - 2:02d}", ignore_errors=True)
    return {
        **log,
        "files": [str(round_folder(at, number).relative_to(run) / "training.json")],
        "digest": digest(run / log["student"]),
    }


@on_worker
def train_at_end(
    run: Path,
    settings: EqualSettings,
    rounds: int,
    student: Facts,
    rewarded: Facts,
    folder: str = "",
    tokens: int | None = None,
) -> Facts:
    """Train the student once, on all pairs.

    Args:
        folder: below the run's, of a strategy the run is compared with.
        tokens: to train on; by default `train_tokens`, else `epochs` passes over the pairs.
    """
    output = str(Path(folder) / "students/end")
    kept = kept_pairs(run / folder, rounds)
    if tokens is None:
        tokens = settings.train_tokens
    log = _train(run, settings, student["student"], output, kept, _training(settings, tokens), test=[])
    write_json(run / folder / "students/training.json", log)
    return {**log, "files": [output, str(Path(folder) / "students/training.json")]}


def share(total: int, number: int, rounds: int) -> int:
    """The part of a total that falls on round `number` of `rounds`, so that all parts add up to it."""
    return total * number // rounds - total * (number - 1) // rounds


@on_worker
def with_reference(run: Path, settings: EqualSettings, rounds: int, student: Facts, tokens: int) -> Facts:
    """What the selection adds to the examples in hand: one student on the reference, one on reference and selection.

    Both train on the same number of tokens, or the longer training would pass for the selection's gain: what the
    reference alone would train on (`train_tokens`, or `epochs` passes over it) and the run's `tokens` on top. The second
    draws them from both parts together.
    """
    from tasks.train.train import count_tokens

    reference = example_pairs(Target.load(run / "target").reference)
    own = settings.train_tokens
    if own is None:
        base = where(run, student["student"])
        own = round(settings.epochs * count_tokens(base, reference, settings.sequence_tokens))
    alone, both = (
        _train(run, settings, student["student"], None, pairs, _training(settings, own + tokens))
        for pairs in (reference, reference + kept_pairs(run, rounds))
    )
    return {"nll_reference": alone["nll"], "nll_reference_selection": both["nll"]}


def kept_pairs(folder: Path, last: int, first: int = 0) -> QA:
    """(question, answer) of the pairs of rounds first..last of a folder that are kept after the last, in order."""
    mask = kept_mask(folder, last)
    rows = (
        (number, row["question"], row["answer"])
        for number in range(first if mask is None else 0, last + 1)  # marks count from the first pair
        if (path := round_folder(folder, number) / "pairs.parquet").exists()
        for row in iterate_rows(path, ["question", "answer"])
    )
    return [
        (question, answer)
        for place, (number, question, answer) in enumerate(rows)
        if number >= first and (mask is None or mask[place])
    ]


def example_pairs(examples: Sequence[Example]) -> QA:
    return [(example.question, example.answer) for example in examples]


def test_pairs(run: Path) -> QA:
    return example_pairs(Target.load(run / "target").test)


def round_test(run: Path, settings: EqualSettings) -> QA:
    """The examples of the test part that score the student after every round."""
    pairs = test_pairs(run)
    chosen = generator(settings.seed, "round test").permutation(len(pairs))[: settings.round_examples]
    return [pairs[position] for position in sorted(chosen)]


def where(run: Path, student: str) -> str:
    """A student of the run's folder as a path, any other as it was given."""
    return str(run / student) if (run / student).exists() else student


def _score(run: Path, settings: EqualSettings, student: str, test: QA) -> Facts:
    from tasks.train.checkpoint import load_student
    from tasks.train.evaluate import evaluate

    model, tokenizer = load_student(where(run, student), lora=settings.lora, seed=settings.seed)
    scores = evaluate(
        model,
        tokenizer,
        test,
        batch_tokens=_training(settings, None).rates(model)[1],
        sequence_tokens=settings.sequence_tokens,
    )
    return {"nll": scores.nll, "exact_match": scores.exact_match}


def _training(settings: EqualSettings, tokens: int | None) -> Training:
    """The settings' way to train, from start to end on `tokens`, or `epochs` passes where that is None."""
    return Training(
        tokens=tokens,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        batch_tokens=settings.batch_tokens,
        sequence_tokens=settings.sequence_tokens,
        lora=settings.lora,
        seed=integer(settings.seed, "train"),
    )


def _train(
    run: Path,
    settings: EqualSettings,
    student: str,
    output: str | None,
    pairs: QA,
    training: Training,
    test: QA | None = None,
) -> Facts:
    from tasks.train.train import train_student

    log = train_student(
        where(run, student),
        run / output if output else None,
        pairs,
        test_pairs(run) if test is None else test,
        training,
        progress=lambda done, of: terminal.current().progress("train", done),
    )
    return {"student": output or student, **{name: log[name] for name in ("nll", "exact_match", "tokens")}}
