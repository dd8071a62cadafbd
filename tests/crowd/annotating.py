"""A small campaign to try things on: items whose text says the label, golden ones among them, and annotators who answer."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.crowd.annotate import rounds
from tasks.crowd.annotate.campaign import STORE, Campaign
from tasks.crowd.annotate.items import items_of
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import CampaignStore
from tests.csv_files import write_rows

LABELS = ["cat", "dog"]


def truth_of(number: int) -> str:
    return LABELS[number * number % 3 % 2]


def settings_of(folder: Path, count: int = 12, golden: int = 0, **changes: Any) -> AnnotateSettings:
    """Settings of a campaign over `count` items i0, i1, ..., the first `golden` of which are golden."""
    items = write_rows(
        folder / "items.csv", ["id", "text"], [[f"i{n}", f"a <b>{truth_of(n)}</b> {n}"] for n in range(count)]
    )
    values: dict[str, Any] = {"items": str(items), "labels": LABELS, "runs_dir": str(folder), "run": "r"}
    if golden:
        known = write_rows(
            folder / "golden.csv", ["task", "label"], [[f"i{n}", truth_of(n)] for n in range(golden)]
        )
        values["golden"] = str(known)
    return AnnotateSettings.model_validate({**values, **changes})


@contextmanager
def campaign_of(folder: Path, settings: AnnotateSettings, round: int = 1, **store: Any) -> Iterator[Campaign]:
    with CampaignStore(folder / STORE, **store) as opened:
        yield Campaign(settings, items_of(settings), opened, round)


def answer(campaign: Campaign, worker: str, tasks: list[int], right: bool = True) -> None:
    """Answer as the text says, or the contrary."""
    codes = [LABELS.index(truth_of(task)) for task in tasks]
    campaign.accept(
        worker, [(task, code if right else 1 - code) for task, code in zip(tasks, codes, strict=True)]
    )


def recorded(folder: Path, count: int, workers: int, wrong: int = 3) -> Path:
    """A recording: every worker on every item, each wrong on every `wrong`th item or so; the last one always at random."""
    rows = []
    for worker in range(workers):
        for n in range(count):
            place = LABELS.index(truth_of(n))
            spoilt = (n * 7 + worker * 5) % (2 if worker == workers - 1 else wrong + worker) == 0
            rows.append([f"i{n}", f"w{worker}", LABELS[1 - place if spoilt else place]])
    return write_rows(folder / "recorded.csv", ["task", "worker", "label"], rows)


class Killed(BaseException):
    """As a kill would: nothing may catch it."""


def dying(at: int) -> Callable[..., list[bool | None]]:
    """A Campaign.accept that is killed when it is called the `at`th time."""
    accept, called = Campaign.accept, itertools.count(1)

    def dies(self: Campaign, *arguments: Any, **more: Any) -> list[bool | None]:
        if next(called) == at:
            raise Killed
        return accept(self, *arguments, **more)

    return dies


def run_all(folder: Path, settings: AnnotateSettings) -> list[dict[str, Any]]:
    while plan := rounds.next_round(folder, settings):
        rounds.collect(folder, settings, plan)
    return rounds.played(folder)


def state_of(folder: Path, settings: AnnotateSettings) -> tuple[list[Any], bytes]:
    with campaign_of(folder, settings, round=99) as campaign:
        answers = sorted((one.task, one.worker, one.label, one.round) for one in campaign.answers)
        return answers, campaign.belief.posterior.tobytes()


def shares(folder: Path, settings: AnnotateSettings) -> dict[str, float]:
    """Of all answers what part is whose."""
    answers, _ = state_of(folder, settings)
    return {name: share / len(answers) for name, share in Counter(one[1] for one in answers).items()}
