"""Several judges rate the pairs that are kept (`--judges N`); truth inference says what their answers come to.

A judge is a model, or the same model asked again with another seed. Each says of each pair whether it is answerable, correct and
useful. What several judges say is merged for each of the three by IBCC (tasks/crowd/truth), which finds out whom to believe; the
probability that all three hold is the pair's `p_good`. What becomes of the pairs: tasks/loop/adjudicate.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.corpus.target import Target
from tasks.crowd.answers import answers_of
from tasks.crowd.truth.methods import METHODS
from tasks.llm.ask import each
from tasks.llm.form import Form
from tasks.llm.ladder import Answered, Ladder
from tasks.llm.request import Usage
from tasks.llm.settings import asked_model, asking, in_turn, requests_path
from tasks.llm.store import RequestStore
from tasks.loop.keep import KEPT, kept_mask
from tasks.loop.pulls import round_folder
from tasks.loop.rating import CRITERIA, Rating, form, shown
from tasks.loop.settings import EqualSettings
from tasks.prepare.documents import CORPUS
from tasks.run import terminal
from tasks.run.costs import Ledger
from tasks.run.folder import payer_of
from tasks.storage.tables import iterate_rows, write_table

Facts = dict[str, Any]

TABLE, JUDGEMENTS = "judged.parquet", "judgements.parquet"
STAGE = "judge pairs"
GOOD = 0.5  # probability from which a pair stays
DIFFERENT = 0.7  # temperature of a model that is several judges
_EXAMPLES, _PASSAGE = 3, 1500  # shown of the reference; characters shown of a document
_TOKENS, _ANSWER_TOKENS = (
    _PASSAGE // 4 + 100,
    20,
)  # of a pair with its passage, and of a rating, for the estimate
_SCORES = [(name, pa.float64()) for name in (*CRITERIA, "p_good")]
_TABLE = pa.schema([("id", pa.string()), *_SCORES, ("judges", pa.int32()), ("disputed", pa.bool_())])
_JUDGEMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("judge", pa.string()),
        *((name, pa.bool_()) for name in CRITERIA),  # null: no answer that could be read
        ("request", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Judge:
    """One who rates pairs.

    Args:
        name: the model's, and which of its seeds.
        settings: the run's, with this judge's model.
        form: what is asked.
    """

    name: str
    settings: EqualSettings
    form: Form[Rating]


def judges_of(settings: EqualSettings, examples: Sequence[tuple[str, str]]) -> list[Judge]:
    """The judges, models in turn; a model that is several judges answers at a temperature and with seeds of its own."""
    models = settings.judge_models or [settings.model]
    found = []
    for number in range(settings.judges):
        model, again = models[number % len(models)], number // len(models)
        parameters = settings.parameters()
        if settings.judges > len(models):
            parameters |= {"temperature": max(DIFFERENT, settings.temperature or 0.0), "seed": again}
        own = settings.model_copy(update={"model": model})
        found.append(Judge(f"{model} {again + 1}", own, form(asked_model(own, model), parameters, examples)))
    return found


def judge(run: Path, settings: EqualSettings, rounds: int, rewarded: Facts) -> Facts:
    """Ask all judges about all pairs that are kept, and merge what they say.

    Writes judgements.parquet (an answer in a row) and judged.parquet (a pair in a row).
    """
    pairs = kept_pairs(run, rounds)
    judges = judges_of(settings, _examples(run))
    rows = _ask_all(run, settings, judges, pairs)
    write_table(run / JUDGEMENTS, rows, _JUDGEMENTS)
    scores = merge([pair["id"] for pair in pairs], rows)
    write_table(run / TABLE, scores, _TABLE)
    with RequestStore(requests_path(settings)) as replies:
        spent = replies.spending(payer_of(run), STAGE)
    cost = sum(row["cost"] for row in rows)
    ledger = Ledger(run / "costs.jsonl")
    ledger.replace_round(rounds + 1)
    ledger.append(
        rounds + 1,
        STAGE,
        pairs=len(pairs),
        cost=cost,
        cost_paid=spent.cost,
        **spent.counts,
    )
    return {
        "files": [JUDGEMENTS, TABLE],
        "judges": [one.name for one in judges],
        "judged": len(pairs),
        "without_answer": sum(row["judges"] == 0 for row in scores),
        "disputed": sum(row["disputed"] for row in scores),
        "cost": cost,
        "cost_paid": spent.cost,
    }


def merge(ids: Sequence[str], judgements: Sequence[Facts]) -> list[Facts]:
    """What the judges' answers come to, a row of judged.parquet for each pair.

    A pair that no judge answered for has no probabilities. One is disputed where judges differ over whether it is good.
    """
    place = {id_: number for number, id_ in enumerate(ids)}
    said = [row for row in judgements if row[CRITERIA[0]] is not None]
    probabilities = np.full((len(ids), len(CRITERIA)), np.nan)
    for column, name in enumerate(CRITERIA):
        if not said:
            break
        answers = answers_of(
            [row["id"] for row in said],
            [row["judge"] for row in said],
            ["yes" if row[name] else "no" for row in said],
            ["no", "yes"],
        )
        posterior = METHODS["ibcc"]().infer(answers).posterior[:, 1]
        probabilities[[place[id_] for id_ in answers.tasks], column] = posterior
    good: list[list[bool]] = [[] for _ in ids]
    for row in said:
        good[place[row["id"]]].append(all(row[name] for name in CRITERIA))
    return [
        {
            "id": id_,
            **{name: _number(value) for name, value in zip(CRITERIA, row, strict=True)},
            "p_good": _number(row.prod()),
            "judges": len(own),
            "disputed": len(set(own)) > 1,
        }
        for id_, row, own in zip(ids, probabilities, good, strict=True)
    ]


def told(judged: Facts | None) -> Facts | None:
    """What the summary says of the judges."""
    names = ("judges", "judged", "without_answer", "disputed", "by_person", "left_out", "cost")
    return None if judged is None else {name: judged[name] for name in names}


def estimate(settings: EqualSettings, pairs: int) -> float:
    """Dollars of judging so many pairs, with passages as long as they may be, each judge at its model's prices."""
    requests = -(-pairs // settings.documents_per_request)
    return sum(
        one.settings.prices().cost(
            Usage(
                sent=one.form.request([""]).tokens * requests + pairs * _TOKENS,
                answered=pairs * _ANSWER_TOKENS,
            )
        )
        for one in judges_of(settings, [])
    )


def _ask_all(
    run: Path, settings: EqualSettings, judges: Sequence[Judge], pairs: Sequence[Facts]
) -> list[Facts]:
    """What all judges say of all pairs, a row of judgements.parquet each; models are asked in turn."""
    texts = _texts(run, pairs)
    rows: dict[tuple[int, int], Facts] = {}

    def ask(model: str) -> None:
        own = {number: one for number, one in enumerate(judges) if one.settings.model == model}
        asyncio.run(_ask(run, own, pairs, texts, rows))

    in_turn(settings, dict.fromkeys(one.settings.model for one in judges), ask)
    return [rows[key] for key in sorted(rows)]


async def _ask(
    run: Path,
    judges: Mapping[int, Judge],
    pairs: Sequence[Facts],
    texts: Sequence[str],
    rows: dict[tuple[int, int], Facts],
) -> None:
    """Ask the judges of one model, by their numbers; `rows` is by pair and judge."""
    settings = next(iter(judges.values())).settings
    with RequestStore(requests_path(settings)) as replies:
        async with asking(settings, replies, run, stage=STAGE) as asker:
            ladders = {number: Ladder(one.form, asker) for number, one in judges.items()}

            async def work(batch: tuple[int, list[int]]) -> None:
                number, places = batch
                outcomes = await ladders[number].answers([texts[place] for place in places])
                for place, outcome in zip(places, outcomes, strict=True):
                    rows[place, number] = _row(pairs[place]["id"], judges[number].name, outcome)
                terminal.current().progress("judgements", len(rows))

            await each(asker, _batches(settings, list(judges), len(pairs)), work)


def _batches(settings: EqualSettings, judges: Sequence[int], pairs: int) -> list[tuple[int, list[int]]]:
    step = settings.documents_per_request
    return [
        (number, list(range(start, min(start + step, pairs))))
        for start in range(0, pairs, step)
        for number in judges
    ]


def _row(id_: str, judge: str, outcome: Any) -> Facts:
    if isinstance(outcome, Answered):
        said = {name: getattr(outcome.value, name) for name in CRITERIA}
        return {
            "id": id_,
            "judge": judge,
            **said,
            "request": outcome.request,
            "reason": "",
            "cost": outcome.cost,
        }
    return {
        "id": id_,
        "judge": judge,
        **dict.fromkeys(CRITERIA),
        "request": "",
        "reason": outcome.reason,
        "cost": outcome.cost,
    }


def _texts(run: Path, pairs: Sequence[Facts]) -> list[str]:
    """The pairs as judges see them, each with the part of its document that the answer stands in."""
    wanted = {pair["document_id"] for pair in pairs}
    documents = {
        row["id"]: row["text"] for row in iterate_rows(run / CORPUS, ["id", "text"]) if row["id"] in wanted
    }
    return [
        shown(
            pair["question"],
            pair["answer"],
            _passage(documents[pair["document_id"]], pair["start"], pair["end"]),
        )
        for pair in pairs
    ]


def _passage(text: str, start: int, end: int) -> str:
    """The characters around a span, as many as are shown."""
    spare = max(0, _PASSAGE - (end - start))
    first = max(0, start - spare // 2)
    return text[first : max(end, first + _PASSAGE)]


def kept_pairs(run: Path, rounds: int) -> list[Facts]:
    """The pairs that are kept after the last round."""
    mask = kept_mask(run, rounds, (KEPT,))
    pairs = read_pairs(run, rounds)
    return pairs if mask is None else [pair for pair, kept in zip(pairs, mask, strict=True) if kept]


def read_pairs(run: Path, rounds: int) -> list[Facts]:
    """All pairs that were read, in order."""
    columns = ["id", "document_id", "start", "end", "question", "answer"]
    return [
        row
        for number in range(rounds + 1)
        for row in iterate_rows(round_folder(run, number) / "pairs.parquet", columns)
    ]


def _examples(run: Path) -> list[tuple[str, str]]:
    return [(one.question, one.answer) for one in Target.load(run / "target").reference[:_EXAMPLES]]


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
