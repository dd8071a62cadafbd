"""Language models that answer instead of people: each says of every pair that is asked whether its two records mean the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.cluster.crowd import Given
from tasks.crowd.cluster.records import Read, candidates_of
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.llm.ask import each
from tasks.llm.form import Form
from tasks.llm.ladder import Answered, Ladder
from tasks.llm.request import Usage
from tasks.llm.settings import asked_model, asking, check_model, in_turn, requests_path
from tasks.llm.store import RequestStore
from tasks.llm.told import is_priced
from tasks.llm.verdict import Verdict, form
from tasks.records import BadInput
from tasks.run import terminal
from tasks.run.folder import payer_of

Facts = dict[str, Any]

SCORE = "machine score"  # who answers where no model does
_LEFT_TO_SCORE = 0.5  # from here on a match
_ANSWER_TOKENS, _SAMPLE = 10, 64  # of a verdict as JSON; pairs that an estimate is made from


class Models:
    """Asks every model about pairs. Replies are in the store of requests: a round that is played again pays nothing.

    Args:
        round: whose requests these are, in the ledger.

    Attributes:
        figures: of COUNTS and AMOUNTS of the ledger, of the last call.
        undecided: pairs that no model answered, of the last call.
    """

    def __init__(self, run: Path, settings: ClusterSettings, round: int) -> None:
        self.run, self.settings, self.round = run, settings, round
        self.figures: dict[str, float] = {}
        self.undecided = 0

    def __call__(self, rows: np.ndarray) -> Given:
        """The answers to pairs.

        Raises:
            Stopped: a service does not answer, the budget is spent, or files for a batch API are to be answered.
        """
        found = candidates_of(self.settings)
        texts = [_text(found, row) for row in rows.tolist()]
        said: dict[tuple[int, str], int] = {}
        costs: list[float] = []

        def ask(name: str) -> None:
            asyncio.run(self._ask(name, rows, texts, said, costs))

        in_turn(self.settings, self.settings.judges, ask)
        answered = {row for row, _ in said}
        silent = [row for row in rows.tolist() if row not in answered]
        self.undecided = len(silent)
        said |= {(row, SCORE): int(found.pairs.score[row] >= _LEFT_TO_SCORE) for row in silent}
        self.figures = {"cost": sum(costs), **self._paid()}
        given = sorted(said.items())
        return (
            np.array([row for (row, _), _ in given], dtype=np.int64),
            [worker for (_, worker), _ in given],
            np.array([label for _, label in given], dtype=np.int64),
        )

    async def _ask(
        self,
        name: str,
        rows: np.ndarray,
        texts: Sequence[str],
        said: dict[tuple[int, str], int],
        costs: list[float],
    ) -> None:
        """Have one model answer: what it says, by row and name, goes into `said`, what that costs into `costs`, US dollars."""
        own = _of(self.settings, name)
        with RequestStore(requests_path(own)) as replies:
            async with asking(own, replies, self.run, stage=self._stage(name)) as asker:
                ladder = Ladder(_form(own), asker)

                async def work(places: range) -> None:
                    outcomes = await ladder.answers([texts[place] for place in places])
                    for place, outcome in zip(places, outcomes, strict=True):
                        costs.append(outcome.cost)
                        if isinstance(outcome, Answered):
                            said[int(rows[place]), name] = int(outcome.value.match)
                    terminal.current().progress("answers", len(said))

                size = own.batch_size
                batches = [range(at, min(at + size, len(texts))) for at in range(0, len(texts), size)]
                await each(asker, batches, work)

    def _stage(self, name: str) -> str:
        return f"{name} in round {self.round}"

    def _paid(self) -> dict[str, float]:
        with RequestStore(requests_path(self.settings)) as replies:
            spent = replies.spending(payer_of(self.run), *map(self._stage, self.settings.judges))
        return {**spent.counts, "cost_paid": spent.cost}


def price_of_pair(settings: ClusterSettings) -> float | None:
    """What the answers of all models to a pair cost, US dollars, by the requests themselves; None without prices."""
    if not is_priced(settings, settings.judges):
        return None
    found = candidates_of(settings)
    rows = range(0, len(found.pairs), max(1, len(found.pairs) // _SAMPLE))
    texts = [_text(found, row) for row in rows]
    cost = 0.0
    for name in settings.judges:
        own = _of(settings, name)
        batches = [texts[at : at + own.batch_size] for at in range(0, len(texts), own.batch_size)]
        sent = sum(_form(own).request(batch).tokens for batch in batches)
        cost += own.prices().cost(Usage(sent=sent, answered=_ANSWER_TOKENS * len(texts)))
    return cost / len(texts)


def check(settings: ClusterSettings) -> None:
    """What can be known of the models before they are asked.

    Raises:
        BadInput: one line.
    """
    if not settings.judges:
        if settings.model or settings.llm_url:
            raise BadInput(
                "--model and --llm-url: name the models by --judges, each of which answers every question"
            )
        return
    if settings.answers:
        raise BadInput("--judges answer instead of people; leave out --answers")
    if not settings.left:
        raise BadInput(
            "--judges needs --left, and --right where there are two tables: the records to show them"
        )
    if len(set(settings.judges)) < len(settings.judges):
        raise BadInput("--judges: a model stands there twice; it would say the same")
    for name in settings.judges:
        check_model(_of(settings, name), "--judges")


def _of(settings: ClusterSettings, model: str) -> ClusterSettings:
    return settings.model_copy(update={"model": model})


def _form(settings: ClusterSettings) -> Form[Verdict]:
    return form(asked_model(settings, settings.model), settings.parameters())


def _text(found: Read, row: int) -> str:
    return f"A: {found.texts[found.pairs.left[row]]}\nB: {found.texts[found.pairs.right[row]]}"
