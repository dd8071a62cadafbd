"""Another strategy on the same corpus, target and budget, beside the run's own: what the choice was worth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tasks.loop import rounds, students
from tasks.loop.influence import judge_of
from tasks.loop.plan import make_plan
from tasks.loop.pulls import extract_rows, round_folder
from tasks.loop.settings import EqualSettings
from tasks.run.parallel import current_mapper, serial
from tasks.select.bandit import BANDITS
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, read_rows, write_json

Facts = dict[str, Any]

_REFERENCE = "reference"  # the students of the reference, among the strategies


def others(
    run: Path,
    settings: EqualSettings,
    corpus: Facts,
    clusters: Facts,
    student: Facts,
    taught: Facts,
    rounds: int,
    rewarded: Facts,
    tokens: int,
) -> Facts:
    """Every strategy of `compare`, and the students of the reference: side by side on the workers, if they are tiny.

    With a scheduler one after the other and from here: its workers do not reach the store of extractions.

    Returns:
        comparison: a row per strategy, see `strategy`; reference: see `students.with_reference`, or None.
    """
    jobs: dict[str, Callable[[], Facts]] = {}
    in_rounds = settings.train == "rounds" and not rewarded["amounts"]  # as the run's own student was
    if settings.train_reference and settings.train != "never":
        given: Facts = {"rounds": rounds, "student": student, "tokens": tokens}
        jobs[_REFERENCE] = partial(students.with_reference, run, settings, **given)
    # The longest jobs first, so that no worker begins one when the others are done.
    for name in sorted(settings.compare, key=lambda name: name != "everything"):
        jobs[name] = partial(
            strategy, run, settings, name, corpus, clusters, student, taught, tokens, in_rounds
        )
    mapper = current_mapper() if settings.student == "tiny" and not settings.scheduler else serial
    made_of = [
        *(facts["files"] for facts in (corpus, clusters, student, taught, rewarded)),
        *(rewarded[name]["files"] for name in ("judged", "cleaned") if name in rewarded),
        student["student"],
        tokens,
    ]
    found = dict(zip(jobs, mapper(partial(_once, run / "compare", made_of), jobs.items()), strict=True))
    return {
        "files": [],
        "reference": found.get(_REFERENCE),
        "comparison": [found[name] for name in settings.compare],
    }


def _once(folder: Path, made_of: Any, job: tuple[str, Callable[[], Facts]]) -> Facts:
    """The facts of a job, kept when it is done: a run that is killed among many large students repeats one of them."""
    name, work = job
    path = folder / name / "facts.json"
    try:
        saved = read_json(path)
        if saved["made_of"] == made_of:
            return dict(saved["facts"])
    except (OSError, ValueError):
        pass
    facts = work()
    write_json(path, {"made_of": made_of, "facts": facts})
    return facts


def strategy(
    run: Path,
    settings: EqualSettings,
    name: str,
    corpus: Facts,
    clusters: Facts,
    student: Facts,
    taught: Facts,
    tokens: int,
    in_rounds: bool,
) -> Facts:
    """Run a strategy through all its rounds in compare/<name>, training a copy of the base student as the run did.

    What it reads is not the run's cost. A strategy that learns starts from the run's warm-up, the others from nothing.

    Args:
        tokens: to train on, as many as the run's own student.
        in_rounds: train on them in stretches, not all at the end.

    Returns:
        Totals, and per round the cumulative cost and the transport cost to the target's test part.
    """
    folder = f"compare/{name}"
    at = run / folder
    warm_rows = [row["row"] for row in read_rows(round_folder(run, 0) / "reads.parquet", ["row"])]
    warm = extract_rows(run, at, settings, 0, warm_rows if name in BANDITS else [])
    state = rounds.start(
        run,
        settings,
        warm=warm,
        clusters=clusters,
        strategy=name,
        folder=folder,
        taught=taught,
        judge=judge_of(settings, student),
    )
    plan = make_plan(corpus["documents"], clusters["clusters"], warm["documents"], name, settings)
    curve, read, trained = [], [warm], student
    for number in range(1, plan.rounds + 1):
        context: Facts = {"number": number, "strategy": name, "folder": folder}
        judge = judge_of(settings, trained)
        chosen = rounds.choose(run, settings, plan=plan.as_dict(), before=state, **context)
        read.append(rounds.extract(run, settings, number=number, chosen=chosen, folder=folder))
        state = rounds.reward(
            run,
            settings,
            before=state,
            extracted=read[-1],
            taught=taught,
            judge=judge,
            weigh=rounds.weighs(number, plan.rounds),
            **context,
        )
        curve.append(
            {"cost": sum(part["cost"] for part in read), "transport_heldout": state["transport_heldout"]}
        )
        if in_rounds:
            trained = students.train_round(
                run,
                settings,
                number=number,
                rounds=plan.rounds,
                student=trained,
                rewarded=state,
                folder=folder,
                tokens=students.share(tokens, number, plan.rounds),
                scored=False,
            )
    if settings.train != "never" and not in_rounds:
        trained = students.train_at_end(
            run, settings, rounds=plan.rounds, student=student, rewarded=state, folder=folder, tokens=tokens
        )
    scores = students.judged(run, settings, trained)
    shutil.rmtree(at / "students", ignore_errors=True)
    kept = rounds.kept_vectors(at, plan.rounds)
    return {
        "strategy": name,
        **{field: sum(part[field] for part in read) for field in ("documents", "tokens", "cost")},
        "pairs": sum(map(len, kept)),
        "transport": rounds.judged_transport(kept, load_array(run / "stages/reference.npy"), settings.seed),
        "transport_heldout": state["transport_heldout"],
        "nll": scores["nll"],
        "exact_match": scores["exact_match"],
        "rounds": curve,
    }
