"""The student of a run: made once, trained in every round or at the end, judged on the target's test part."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

from tasks.corpus.target import Target
from tasks.loop.keep import kept_mask, newly_kept
from tasks.loop.pulls import round_folder
from tasks.loop.settings import EqualSettings
from tasks.prepare.student import BASE, make_base
from tasks.records import Example
from tasks.run import terminal
from tasks.run.folder import digest
from tasks.run.parallel import current_mapper, import_on_workers, serial
from tasks.run.seeds import generator, integer
from tasks.storage.tables import iterate_rows, write_json
from tasks.train.threads import one_thread, threads_for
from tasks.train.training import Training

Facts = dict[str, Any]
QA = list[tuple[str, str]]

_GUIDES = 256  # examples of the reference that LEAD chooses for, at most


def on_worker(function: Callable[..., Facts]) -> Callable[..., Facts]:
    """Makes a stage run in a Dask worker when the student is the tiny one, and here otherwise.

    A tiny student is fastest on one thread of a process of its own (two threads wait for each other more than they
    work), and the same whatever the number of cores. A large one takes the whole machine, or its GPU. Where none is
    trained there is nothing that a worker would be worth its imports for.
    """

    @wraps(function)
    def stage(run: Path, settings: EqualSettings, **arguments: Any) -> Facts:
        if settings.student != "tiny" or settings.train == "never":
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
    if settings.train == "never":
        return {"files": [], "student": None, "nll": None, "exact_match": None, "tokens": 0}
    if settings.student == "tiny":
        make_base(run, settings)
    student = _untrained(settings)
    if settings.reward == "influence":
        _check_layers(run, settings, student)
    return {
        "files": [BASE] if settings.student == "tiny" else [],
        "student": student,
        "tokens": 0,
        **_score(run, settings, student, round_test(run, settings)),
    }


def _check_layers(run: Path, settings: EqualSettings, student: str) -> None:
    """Whether the student has what influence is measured on.

    Raises:
        BadInput: it has not, which would else show when documents are paid for.
    """
    from tasks.select.influence.layers import linear_layers
    from tasks.train.checkpoint import load_student

    linear_layers(load_student(where(run, student), lora=settings.lora, seed=settings.seed)[0])


def judge(run: Path, settings: EqualSettings, students: Sequence[Facts]) -> Facts:
    """Score students on the whole test part, tiny ones side by side on the workers.

    Returns:
        scores: nll and exact_match of each, both None without a student.
    """
    mapper = current_mapper() if settings.student == "tiny" and settings.train != "never" else serial
    return {"files": [], "scores": list(mapper(partial(judged, run, settings), students))}


def judged(run: Path, settings: EqualSettings, student: Facts) -> Facts:
    """Score a student on the whole test part, here."""
    if student["student"] is None:
        return {"nll": None, "exact_match": None}
    with threads_for(settings.student):
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

    Where it is tried how many pairs to keep, it is trained anew instead, on these, in the rounds in which that was tried: stretches
    over what each round kept would go on from pairs that were given up since, for longer than is best.

    Args:
        folder: below the run's, of a strategy the run is compared with.
        tokens: to train on; by default the round's share of `train_tokens`, else `epochs` passes over its new pairs.
        scored: score it on `round_examples` of the test part.
    """
    at = run / folder
    kept = kept_pairs(at, number)
    if tokens is None and rewarded["amounts"]:
        log = _anew(run, settings, number, student, kept, rewarded["amounts"][-1]["round"] == number)
    else:
        log = _further(run, settings, number, rounds, student, kept, at, tokens, scored)
    path = round_folder(at, number) / "training.json"
    write_json(path, log)
    # The one before stays: a kill before this result is stored begins again from it.
    for older in (at / "students").glob("round-*"):
        if str(older.relative_to(run)) not in (log["student"], student["student"]):
            shutil.rmtree(older, ignore_errors=True)
    return {**log, "files": [str(path.relative_to(run))], "digest": digest(run / log["student"])}


def _further(
    run: Path,
    settings: EqualSettings,
    number: int,
    rounds: int,
    student: Facts,
    kept: QA,
    at: Path,
    tokens: int | None,
    scored: bool,
) -> Facts:
    """Train the student of the round before a stretch further."""
    new = newly_kept(at, number)
    if new is None:  # all are kept; the warm-up's are new in round 1
        new = len(kept_pairs(at, number, first=number if number > 1 else 0))
    if tokens is None and settings.train_tokens is not None:
        tokens = share(settings.train_tokens, number, rounds)
    return train(
        run,
        settings,
        student["student"],
        str(at.relative_to(run) / _round_name(number)),
        kept,
        replace(
            training_of(settings, tokens),
            # As many tokens as `epochs` passes over the new pairs, drawn from all: earlier pairs are not forgotten.
            epochs=settings.epochs * new / max(1, len(kept)),
            start=(number - 1) / rounds,
            end=number / rounds,
            seed=integer(settings.seed, "train", number),
        ),
        test=round_test(run, settings) if scored else [],
    )


def _anew(run: Path, settings: EqualSettings, number: int, before: Facts, kept: QA, tried: bool) -> Facts:
    """Train the student from where the run began; where nothing was `tried` in the round, the one before stays."""
    if not tried:
        return {**{name: before[name] for name in ("student", "nll", "exact_match")}, "tokens": 0}
    return train(
        run,
        settings,
        _untrained(settings),
        _round_name(number),
        kept,
        training_of(settings, None),
        test=round_test(run, settings),
    )


def _round_name(number: int) -> str:
    """The student of a round, below the folder of its strategy."""
    return f"students/round-{number:02d}"


def _untrained(settings: EqualSettings) -> str:
    """The student that a run begins with."""
    return BASE if settings.student == "tiny" else settings.student


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
    log = train(run, settings, student["student"], output, kept, training_of(settings, tokens), test=[])
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
        train(run, settings, student["student"], None, pairs, training_of(settings, own + tokens))
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


def _guides(run: Path, settings: EqualSettings) -> QA:
    """Examples of the reference that LEAD chooses for: as many as mean gradients want, in random order."""
    examples = Target.load(run / "target").reference
    drawn = generator(settings.seed, "guides").permutation(len(examples))[:_GUIDES]
    return example_pairs([examples[position] for position in drawn])


def round_test(run: Path, settings: EqualSettings) -> QA:
    """The examples of the test part that score the student after every round."""
    return sample_of(test_pairs(run), settings, "round test")


def sample_of(pairs: QA, settings: EqualSettings, what_for: str) -> QA:
    """`round_examples` of them, drawn for that, in order; all where there are no more."""
    chosen = generator(settings.seed, what_for).permutation(len(pairs))[: settings.round_examples]
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
        batch_tokens=training_of(settings, None).rates(model)[1],
        sequence_tokens=settings.sequence_tokens,
    )
    return {"nll": scores.nll, "exact_match": scores.exact_match}


def training_of(settings: EqualSettings, tokens: int | None) -> Training:
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


def train(
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
        trainer=settings.trainer,
        reference=_guides(run, settings) if settings.trainer == "lead" else (),
    )
    return {"student": output or student, **{name: log[name] for name in ("nll", "exact_match", "tokens")}}
