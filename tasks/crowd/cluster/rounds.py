"""The plan carried out, round by round: which pairs are asked, and what the crowd answers.

The questions and the answers of a round are in its folder, so that a run that goes on asks nobody twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.corpus.formats import given_with
from tasks.crowd.cluster.crowd import Asked, Given, simulated
from tasks.crowd.cluster.models import Models
from tasks.crowd.cluster.people import People
from tasks.crowd.cluster.plan import Decided, Method, make_plan
from tasks.crowd.cluster.read import read_answers, read_confusion, read_truth
from tasks.crowd.cluster.records import candidates_of
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.crowd.cost.pairs import Plan
from tasks.crowd.truth.methods import METHODS
from tasks.run.costs import Ledger
from tasks.run.folder import digest
from tasks.run.seeds import generator
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import read_json, read_rows, write_json, write_table

Facts = dict[str, Any]

DECIDED = "stages/decided.json"
QUESTIONS, ANSWERS = "questions.npy", "answers.parquet"
_SCHEMA = pa.schema([("pair", pa.int64()), ("worker", pa.string()), ("label", pa.int8())])


def planned(run: Path, settings: ClusterSettings) -> Iterator[Facts]:
    """The rounds, each with its questions written down; the next is planned by what the last left in its folder.

    When the plan has ended, what it found is in DECIDED.
    """
    asked, plan = _replayed(run, settings), plan_of(settings)
    try:
        rows = next(plan)
        while True:
            number = len(asked.rounds) + 1
            path = _folder(number) / QUESTIONS
            save_array(run / path, rows)
            yield {"number": number, "questions": len(rows), "asks": digest(run / path)}
            rows = plan.send(asked(rows))
    except StopIteration as end:
        _save(run / DECIDED, end.value)


def heard(run: Path, settings: ClusterSettings, rounds: int) -> Asked:
    """All that was answered in so many rounds."""
    asked = _replayed(run, settings)
    for number in range(1, rounds + 1):
        asked.hear(load_array(run / _folder(number) / QUESTIONS))
    return asked


def load_decided(run: Path) -> Facts:
    """What the plan found: lists of cluster, how, match (None where not asked) and dropped, with low, high and dissent."""
    found: Facts = read_json(run / DECIDED)
    return found


def _replayed(run: Path, settings: ClusterSettings) -> Asked:
    """One who asks, and is told what was answered in each round."""

    def answered(rows: np.ndarray) -> Given:
        given = read_rows(run / _folder(len(asked.rounds) + 1) / ANSWERS)
        return (
            np.array([row["pair"] for row in given], dtype=np.int64),
            [row["worker"] for row in given],
            np.array([row["label"] for row in given], dtype=np.int64),
        )

    asked = Asked(len(candidates_of(settings).pairs), answered, METHODS[settings.merge]())
    return asked


def plan_of(settings: ClusterSettings) -> Plan[Decided]:
    """The plan that settings name."""
    method = Method(
        settings.method,
        settings.refine,
        -1.0 if settings.below is None else settings.below,
        2.0 if settings.above is None else settings.above,
        settings.sample,
        settings.error,
        settings.confidence,
        settings.audit,
    )
    return make_plan(
        candidates_of(settings).pairs, method, lambda purpose: generator(settings.seed, "crowd", purpose)
    )


def collect(run: Path, settings: ClusterSettings, plan: Facts) -> Facts:
    """Have the questions of a round answered.

    Raises:
        Stopped: people have to answer first, or a service or the budget stopped it.
        BadInput: something that people wrote is no answer.
    """
    folder, source = _folder(plan["number"]), source_of(run, settings, plan["number"])
    rows, workers, labels = source(load_array(run / folder / QUESTIONS))
    answers = zip(rows.tolist(), workers, labels.tolist(), strict=True)
    write_table(
        run / folder / ANSWERS,
        ({"pair": row, "worker": worker, "label": label} for row, worker, label in answers),
        _SCHEMA,
    )
    price = len(rows) * settings.price
    figures = source.figures if isinstance(source, Models) else {"cost": price, "cost_paid": price}
    ledger = Ledger(run / "costs.jsonl")
    ledger.replace_round(plan["number"])
    ledger.append(plan["number"], "ask", pairs=plan["questions"], **figures)
    return {
        "files": [str(folder / ANSWERS)],
        "number": plan["number"],
        "questions": plan["questions"],
        "answers": len(rows),
        "undecided": source.undecided if isinstance(source, Models) else 0,
        "cost": figures["cost"],
    }


def source_of(run: Path, settings: ClusterSettings, number: int) -> Callable[[np.ndarray], Given]:
    """Who answers in a round."""
    found = candidates_of(settings)
    if settings.judges:
        return Models(run, settings, number)
    if not settings.simulate:
        with given_with("--answers"):
            recorded = read_answers(settings.answers, found.ids)
        return People(
            run, settings.run, found.ids, recorded, settings.redundancy, settings.page_records, found.texts
        )
    with given_with("--simulate"):
        crowd = read_confusion(settings.simulate)
    with given_with("--truth"):
        cluster = read_truth(settings.truth, found.ids)
    truth = (cluster[found.pairs.left] == cluster[found.pairs.right]).astype(np.int64)
    random = generator(settings.seed, "crowd", "answers")
    return simulated(truth, crowd.matrices, crowd.workers, settings.redundancy, random, crowd.activity)


def round_line(facts: Facts) -> str:
    """What a round came to, in a line."""
    line = f"round {facts['number']}: {facts['questions']:,} pairs asked, {facts['answers']:,} answers, ${facts['cost']:,.4f}"
    return line + (f", {facts['undecided']:,} left to the score" if facts["undecided"] else "")


def rounds_table(rounds: Sequence[Facts]) -> list[list[str]]:
    """A heading and a row for each round."""
    head = ["round", "pairs asked", "answers", "left to the score", "cost"]
    return [
        head,
        *(
            [
                str(one["number"]),
                f"{one['questions']:,}",
                f"{one['answers']:,}",
                f"{one['undecided']:,}",
                f"${one['cost']:,.4f}",
            ]
            for one in rounds
        ),
    ]


def _save(path: Path, outcome: Decided) -> None:
    dissent = outcome.dissent
    write_json(
        path,
        {
            "cluster": outcome.cluster.tolist(),
            "how": outcome.how.tolist(),
            "match": [None if np.isnan(one) else round(one, 6) for one in outcome.match.tolist()],
            "dropped": outcome.dropped.tolist(),
            "low": outcome.band.low,
            "high": outcome.band.high,
            "labels_wanted": outcome.band.wanted,
            "dissent": None
            if dissent is None
            else {
                "share": dissent.share,
                "low": dissent.low,
                "high": dissent.high,
                "asked": dissent.asked,
            },
        },
    )


def _folder(number: int) -> Path:
    return Path(f"rounds/{number:03d}")
