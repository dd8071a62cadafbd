"""Who decides what: the matcher learnt from the labels, the model, or the matcher where it is sure and the model else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.llm.ask import Asking, each
from tasks.llm.ladder import Answered, Ladder, Undecided
from tasks.llm.request import Usage
from tasks.llm.settings import asked_model, asking, requests_path
from tasks.llm.store import RequestStore
from tasks.llm.told import is_priced
from tasks.llm.verdict import Verdict, form
from tasks.match.compare import comparisons
from tasks.match.matcher import fit_matcher
from tasks.resolve.label import load_labels
from tasks.resolve.prepare import (
    POOL,
    POOL_FEATURES,
    QUESTION_FEATURES,
    QUESTIONS,
    load_pairs,
    load_selection,
    prompts_of,
)
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.routing import Band, choose_band
from tasks.run import terminal
from tasks.run.costs import Ledger
from tasks.run.folder import payer_of
from tasks.run.seeds import integer
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import write_table

Facts = dict[str, Any]

PROBABILITIES = "stages/probabilities.npy"
VERDICTS = "stages/verdicts.parquet"
STAGE = "judge"
ANSWER_TOKENS = 10  # of a verdict as JSON
_VERDICTS = pa.schema(
    [
        ("question", pa.int64()),  # row of the questions
        ("match", pa.bool_()),  # null: undecided
        ("shown", pa.list_(pa.int64())),  # rows of the pool
        ("request", pa.string()),  # key of the request whose answer it is
        ("reason", pa.string()),  # why it is undecided
        ("cost", pa.float64()),
    ]
)


def match(run: Path, settings: BatcherSettings, labelled: Facts, pairs: Facts) -> Facts:
    """Probabilities of all questions by the matcher, and with 'routed' the band in which it does not decide."""
    records, selection = records_of(settings), load_selection(run)
    pool, questions = load_pairs(run / POOL), load_pairs(run / QUESTIONS)

    def compared(rows: list[int]) -> np.ndarray:
        own = pool.take(np.array(rows, dtype=np.int64))
        return comparisons(records.left, records.other, own, records.attributes)

    learnt = fit_matcher(
        compared(selection["labelled"]),
        load_labels(run, selection["labelled"]),
        seed=integer(settings.seed, "matcher"),
    )
    probabilities = learnt.probabilities(
        comparisons(records.left, records.other, questions, records.attributes)
    )
    save_array(run / PROBABILITIES, probabilities)
    band = Band(-1.0, 2.0, 0)  # nothing is decided
    if settings.judge == "routed" and selection["sample"]:
        band = choose_band(
            learnt.probabilities(compared(selection["sample"])),
            load_labels(run, selection["sample"]),
            error=settings.error,
            confidence=settings.confidence,
        )
    return {
        "files": [PROBABILITIES],
        "learnt": learnt.learnt,
        "low": band.low,
        "high": band.high,
        "labels_wanted": band.wanted,
    }


@dataclass(frozen=True, slots=True)
class Prompt:
    """A batch: rows of the questions, and rows of the pool that are shown with them."""

    questions: list[int]
    shown: list[int]


def prompts(run: Path, settings: BatcherSettings, matched: Facts) -> list[Prompt]:
    """The batches that the model is asked: all of them, or new ones of the questions the matcher does not decide."""
    selection = load_selection(run)
    if settings.judge == "llm":
        return [Prompt(*batch) for batch in zip(selection["batches"], selection["shown"], strict=True)]
    band = Band(matched["low"], matched["high"], matched["labels_wanted"])
    asked = np.sort(band.to_ask(load_array(run / PROBABILITIES)))
    if not len(asked):
        return []
    labelled = np.array(selection["labelled"], dtype=np.int64)
    records, pool = records_of(settings), load_pairs(run / POOL).take(labelled)
    chosen, batches = prompts_of(
        settings,
        load_array(run / QUESTION_FEATURES)[asked],
        load_array(run / POOL_FEATURES)[labelled],
        records.texts(pool),
    )
    return [
        Prompt(asked[rows].tolist(), labelled[shown].tolist())
        for rows, shown in zip(batches, chosen.batches, strict=True)
    ]


def estimate(run: Path, settings: BatcherSettings, selected: Facts) -> Facts:
    """What asking about all questions costs, by the prompts themselves; 'routed' asks about a part of them.

    Returns:
        requests, tokens_sent, tokens_answered, and cost in dollars, None where no prices of the model are given.
    """
    records, selection = records_of(settings), load_selection(run)
    questions = records.texts(load_pairs(run / QUESTIONS))
    pool = records.texts(load_pairs(run / POOL))
    model, sent = asked_model(settings, settings.model), 0
    for rows, shown in zip(selection["batches"], selection["shown"], strict=True):
        asked = form(model, settings.parameters(), [(pool[row], True) for row in shown])
        sent += asked.request([questions[row] for row in rows]).tokens
    answered = ANSWER_TOKENS * len(questions)
    return {
        "requests": len(selection["batches"]),
        "tokens_sent": sent,
        "tokens_answered": answered,
        "cost": settings.prices().cost(Usage(sent=sent, answered=answered))
        if is_priced(settings, [settings.model])
        else None,
    }


def judge(run: Path, settings: BatcherSettings, matched: Facts, labelled: Facts) -> Facts:
    """Ask the model, a batch in a request."""
    if settings.judge == "matcher":
        return {"files": [], "asked": 0, "undecided": 0, "batches": 0, "cost": 0.0}
    asked = prompts(run, settings, matched)
    rows = asyncio.run(_ask(run, settings, asked))
    rows.sort(key=lambda row: row["question"])
    write_table(run / VERDICTS, rows, _VERDICTS)
    ledger = Ledger(run / "costs.jsonl")
    ledger.replace_round(0)
    with RequestStore(requests_path(settings)) as replies:
        spent = replies.spending(payer_of(run), STAGE)
    cost = sum(row["cost"] for row in rows)
    ledger.append(
        0,
        STAGE,
        pairs=len(rows),
        cost=cost,
        cost_paid=spent.cost,
        **spent.counts,
    )
    return {
        "files": [VERDICTS],
        "asked": len(rows),
        "undecided": sum(row["match"] is None for row in rows),
        "batches": len(asked),
        "cost": cost,
        "cost_paid": spent.cost,
        "requests": spent.requests,
        "retries": spent.retries,
        "tokens_in": spent.sent,
        "tokens_cached": spent.cached,
        "tokens_out": spent.answered,
    }


async def _ask(run: Path, settings: BatcherSettings, asked: list[Prompt]) -> list[Facts]:
    records = records_of(settings)
    questions = records.texts(load_pairs(run / QUESTIONS))
    pool = records.texts(load_pairs(run / POOL))
    rows: list[Facts] = []
    model = asked_model(settings, settings.model)  # once: the one that answers stays as it was loaded

    with RequestStore(requests_path(settings)) as replies:
        async with asking(settings, replies, run, stage=STAGE) as asker:

            async def work(prompt: Prompt) -> None:
                rows.extend(await _verdicts(run, settings, asker, model, prompt, questions, pool))
                terminal.current().progress("pairs judged", len(rows))

            await each(asker, asked, work)
    return rows


async def _verdicts(
    run: Path,
    settings: BatcherSettings,
    asker: Asking,
    model: str,
    prompt: Prompt,
    questions: list[str],
    pool: list[str],
) -> list[Facts]:
    labels = load_labels(run, prompt.shown).tolist()
    shown = [(pool[row], bool(label)) for row, label in zip(prompt.shown, labels, strict=True)]
    ladder: Ladder[Verdict] = Ladder(form(model, settings.parameters(), shown), asker)
    outcomes = await ladder.answers([questions[row] for row in prompt.questions])
    return [
        {
            "question": row,
            "match": outcome.value.match if isinstance(outcome, Answered) else None,
            "shown": prompt.shown,
            "request": outcome.request if isinstance(outcome, Answered) else "",
            "reason": outcome.reason if isinstance(outcome, Undecided) else "",
            "cost": outcome.cost,
        }
        for row, outcome in zip(prompt.questions, outcomes, strict=True)
    ]
