"""Language models as annotators: several models, or one with several instructions or seeds; each answer is paid for once."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, create_model

from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.items import Items
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.llm.ask import each
from tasks.llm.form import Form
from tasks.llm.ladder import Answered, Ladder, Undecided
from tasks.llm.request import Usage
from tasks.llm.settings import asked_model, asking, in_turn, requests_path
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tasks.run import terminal

Facts = dict[str, Any]

ANSWER_TOKENS = 10  # of a label as JSON
_USUAL = Usage(sent=100, answered=ANSWER_TOKENS)  # of an item, about: to compare what judges cost
TASK = """\
You annotate texts. The question about each text is: {question}
The labels are, one to a line:
{labels}
Answer for each text on its own with the one label that fits best, written exactly as above."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A model that annotates.

    Args:
        name: as an annotator.
        number: among the judges, from 1.
        settings: of the run, with this judge's model.
        instruction: what it is told besides the question.
        seed: of its answers; None leaves it to the server.
    """

    name: str
    number: int
    settings: AnnotateSettings
    instruction: str = ""
    seed: int | None = None

    def form(self) -> Form[Any]:
        """How this judge is asked."""
        labels = self.settings.labels
        task = TASK.format(question=self.settings.question, labels="\n".join(labels))
        answer = verdict_of(tuple(labels))
        spelt = _spellings(labels)

        def from_text(text: str) -> BaseModel | None:
            for read, label_of in spelt:
                if label := label_of.get(read(text)):
                    return answer(label=label)
            return None

        return Form(
            "labels",
            f"{task}\n\n{self.instruction}" if self.instruction else task,
            answer,
            answer(label=labels[0]),
            "the label alone.",
            from_text,
            lambda verdict: str(verdict.label),  # type: ignore[attr-defined]
            asked_model(self.settings, self.settings.model),
            {**self.settings.parameters(), **({} if self.seed is None else {"seed": self.seed})},
        )


def verdict_of(labels: tuple[str, ...]) -> type[BaseModel]:
    """The record of an answer, which can hold no other label."""
    fields: dict[str, Any] = {"label": (Literal[labels], ...)}
    return create_model("Verdict", **fields)


def judges_of(settings: AnnotateSettings) -> list[Judge]:
    """All of them: models x instructions x seeds."""
    found: list[Judge] = []
    for model in settings.models:
        own = settings.model_copy(update={"model": model})
        for place, instruction in enumerate(settings.instructions or [""], start=1):
            for seed in range(settings.judge_seeds):
                parts = [
                    model,
                    f"instruction {place}" if settings.instructions else "",
                    f"seed {seed}" if settings.judge_seeds > 1 else "",
                ]
                found.append(
                    Judge(
                        ", ".join(part for part in parts if part),
                        len(found) + 1,
                        own,
                        instruction,
                        seed if settings.judge_seeds > 1 else None,
                    )
                )
    return found


def estimate(settings: AnnotateSettings, items: Items) -> Facts:
    """What an answer to every item by every judge costs, by the requests themselves.

    Returns:
        By judge on average: requests, tokens_sent, tokens_answered, and cost in dollars.
    """
    judges, size = judges_of(settings), settings.batch_size
    sent, cost = 0, 0.0
    texts = [items.as_text(task) for task in range(len(items))]
    for judge in judges:
        form = judge.form()
        own = sum(form.request(texts[at : at + size]).tokens for at in range(0, len(texts), size))
        sent += own
        cost += judge.settings.prices().cost(Usage(sent=own, answered=ANSWER_TOKENS * len(texts)))
    return {
        "requests": -(-len(texts) // size),
        "tokens_sent": sent // len(judges),
        "tokens_answered": ANSWER_TOKENS * len(texts),
        "cost": cost / len(judges),
    }


def collect(run: Path, settings: AnnotateSettings, campaign: Campaign, quota: int) -> None:
    """Have the judges answer, up to `quota` answers in this round.

    What is handed out is written down before anything is asked: a run that goes on asks the same again, whose replies are in
    the store.

    Raises:
        OutOfMoney: the budget does not suffice for all of them.
        Stopped: a service does not answer, or files for a batch API are to be answered.
        BadInput: the server refuses everybody.
    """
    judges = {judge.name: judge for judge in judges_of(settings)}
    mark = f"handed out in round {campaign.round}"
    if not campaign.store.note(mark):
        _hand_out(campaign, list(judges.values()), quota)
        campaign.store.set_note(mark, "yes")
    waiting: dict[str, list[list[int]]] = {}
    for name, tasks in campaign.open_batches():
        waiting.setdefault(name, []).append(tasks)

    def ask(name: str) -> None:
        asyncio.run(_ask(run, campaign, judges[name], waiting[name]))

    in_turn(settings, waiting, ask)


def _hand_out(campaign: Campaign, judges: Sequence[Judge], quota: int) -> None:
    """A request's worth of items at a time, while there are any: to the judges in turn, or to the best of those whose turn is next."""
    turn = deque(judges)
    prices = {judge.name: judge.settings.prices().cost(_USUAL) for judge in judges}
    left = quota - campaign.this_round - len(campaign.in_hand)
    while left > 0 and turn:
        count = min(campaign.settings.batch_size, left)
        judge = _best(campaign, list(turn)[: campaign.settings.waiting], prices, count)
        turn.remove(judge)
        if given := len(campaign.offer(judge.name, count)):
            turn.append(judge)  # of others there is nothing more for them
            left -= given


def _best(campaign: Campaign, judges: Sequence[Judge], prices: Mapping[str, float], count: int) -> Judge:
    """Whose next answers are expected to tell most for what they cost; of equal ones the first."""
    if len(judges) == 1:
        return judges[0]
    priced = all(prices.values())

    def worth(judge: Judge) -> float:
        return round(campaign.worth(judge.name, count) / (prices[judge.name] if priced else 1.0), 12)

    return max(judges, key=worth)


async def _ask(run: Path, campaign: Campaign, judge: Judge, batches: list[list[int]]) -> None:
    items, labels = campaign.items, campaign.label_code
    with RequestStore(requests_path(judge.settings)) as replies:
        async with asking(judge.settings, replies, run, stage=stage_of(judge, campaign.round)) as asker:
            ladder: Ladder[Any] = Ladder(judge.form(), asker)

            async def work(tasks: list[int]) -> None:
                outcomes = await ladder.answers([items.as_text(task) for task in tasks])
                answered, costs, skips = [], [], []
                for task, outcome in zip(tasks, outcomes, strict=True):
                    if isinstance(outcome, Answered):
                        answered.append((task, labels[outcome.value.label]))
                        costs.append(outcome.cost)
                    elif isinstance(outcome, Undecided):
                        skips.append((task, outcome.reason))
                campaign.accept(judge.name, answered, skips, costs)
                terminal.current().progress("answers", campaign.this_round)

            await each(asker, batches, work)


def stage_of(judge: Judge, round: int) -> str:
    """Under which the requests of a judge in a round are paid."""
    return f"judge {judge.number} in round {round}"


def check(settings: AnnotateSettings) -> None:
    """What can be known of the judges before they are asked.

    Raises:
        BadInput: one line.
    """
    from tasks.llm.settings import check_model

    if settings.judge_seeds > 1 and settings.temperature == 0:
        raise BadInput("--judge-seeds: at temperature 0 all seeds say the same; give --temperature too")
    names = settings.models
    if len(set(names)) < len(names):
        raise BadInput(
            "--judges: a model stands there twice; give --instructions or --judge-seeds for several judges of it"
        )
    for model in settings.models or [""]:
        check_model(settings.model_copy(update={"model": model}), "--annotators llm")


def _spellings(labels: Sequence[str]) -> list[tuple[Callable[[str], str], dict[str, str]]]:
    """Ways to read a text as a label, the exact one first, each with the labels that alone are read so.

    A model may put its answer in quotes or in bold, end it with a stop or begin it with a capital; so may a label.
    """
    found = []
    for read in (str.strip, _bare, lambda text: _bare(text).casefold()):
        times = Counter(map(read, labels))
        found.append(
            (read, {read(label): label for label in labels if read(label) and times[read(label)] == 1})
        )
    return found


def _bare(text: str) -> str:
    return text.strip().strip("\"'`*.")
