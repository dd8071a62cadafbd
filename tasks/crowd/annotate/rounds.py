"""Rounds: so many answers are collected, then truth is inferred anew from all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.annotate import files, judges, page, replay
from tasks.crowd.annotate.campaign import STORE, Campaign, opened
from tasks.crowd.annotate.items import items_of
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import CampaignStore
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.llm.ask import OutOfMoney
from tasks.llm.settings import requests_path
from tasks.llm.store import RequestStore
from tasks.run import terminal
from tasks.run.costs import Ledger
from tasks.run.folder import payer_of

Facts = dict[str, Any]

SOURCES: dict[str, Callable[[Path, AnnotateSettings, Campaign, int], None]] = {
    "people": page.collect,
    "file": files.collect,
    "llm": judges.collect,
    "replay": replay.collect,
}
"""Each has a campaign's answers come in, up to a number in this round."""


def estimate(settings: AnnotateSettings) -> Facts:
    """What the campaign takes.

    Returns:
        least, most: answers, golden ones among them.
        cost_least, cost_most: US dollars.
    """
    items = items_of(settings)
    labelled = int((items.golden == UNKNOWN).sum())
    share = settings.golden_share if (items.golden != UNKNOWN).any() else 0.0
    least, most = (
        math.ceil(labelled * each / (1 - share)) for each in (settings.min_answers, settings.max_answers)
    )
    if settings.budget is not None:
        least, most = min(least, settings.budget), min(most, settings.budget)
    found: Facts = {"least": least, "most": most}
    price = settings.answer_price
    if settings.annotators == "llm":
        asked = judges.estimate(settings, items)
        price = asked["cost"] / len(items)
        found |= {name: asked[name] / len(items) for name in ("requests", "tokens_sent", "tokens_answered")}
    return {**found, "cost_least": least * price, "cost_most": most * price}


def next_round(run: Path, settings: AnnotateSettings) -> Facts | None:
    """The plan of the next round, or of one that was interrupted; None when the campaign is over."""
    payer_of(run)  # from here on the run's folder holds what was paid for
    with CampaignStore(run / STORE) as store:
        before = store.rounds()
    number, quota, facts = before[-1] if before else (0, 0, None)
    if before and facts is None:
        return _plan(settings, number, quota)
    given_up = facts is not None and (facts["out_of_money"] or not facts["collected"])
    if given_up and facts and facts["limits"] == _limits(settings):
        return None
    with opened(run, settings, number + 1) as campaign:
        if campaign.finished:
            return None
        quota = math.ceil(estimate(settings)["most"] / settings.rounds)
        campaign.store.begin_round(number + 1, quota)
    return _plan(settings, number + 1, quota)


def _plan(settings: AnnotateSettings, number: int, quota: int) -> Facts:
    return {"number": number, "of": max(number, settings.rounds), "quota": quota}


def _limits(settings: AnnotateSettings) -> list[float | None]:
    return [settings.budget, settings.max_cost]


def played(run: Path) -> list[Facts]:
    """Facts of the rounds that have ended."""
    with CampaignStore(run / STORE) as store:
        return [facts for _, _, facts in store.rounds() if facts is not None]


def collect(run: Path, settings: AnnotateSettings, plan: Facts) -> Facts:
    """One round.

    Raises:
        Stopped: answers are wanted from outside, or a service stopped it; what came is kept.
    """
    number = plan["number"]
    with opened(run, settings, number) as campaign:
        out_of_money = False
        try:
            SOURCES[settings.annotators](run, settings, campaign, plan["quota"])
        except OutOfMoney as why:
            out_of_money = True
            terminal.current().note(str(why))
        collected = campaign.this_round
        campaign.refresh()
        facts = {
            "number": number,
            "quota": plan["quota"],
            "collected": collected,
            "out_of_money": out_of_money,
            "limits": _limits(settings),
            **standing(campaign),
        }
        _account(run, settings, campaign, number)
        campaign.store.end_round(number, facts)
    return {"files": [], **facts}


def standing(campaign: Campaign) -> Facts:
    """Where a campaign stands, in figures."""
    items, posterior = campaign.items, campaign.belief.posterior
    labelled = items.golden == UNKNOWN
    judged = items.truth != UNKNOWN
    right = (posterior.argmax(axis=1) == items.truth)[judged]
    return {
        "answers": len(campaign.answers),
        "items": int(labelled.sum()),
        "done": int((labelled & (campaign.needs() == 0)).sum()),
        "sure": int(
            (labelled & (posterior.max(axis=1) >= campaign.settings.confidence) & (campaign.counts > 0)).sum()
        ),
        "confidence": float(posterior.max(axis=1)[labelled].mean()),
        "workers": sum(worker.answers > 0 for worker in campaign.workers.values()),
        "eliminated": len(campaign.eliminated),
        "skips": int(campaign.skips.sum()),
        "cost": campaign.cost,
        "accuracy": float(np.mean(right)) if judged.any() else None,
    }


def _account(run: Path, settings: AnnotateSettings, campaign: Campaign, number: int) -> None:
    """A line of the ledger."""
    ledger = Ledger(run / "costs.jsonl")
    ledger.replace_round(number)
    given = [one for one in campaign.answers if one.round == number]
    cost = sum(one.cost for one in given)
    if settings.annotators != "llm":
        ledger.append(number, settings.annotators, pairs=len(given), cost=cost, cost_paid=cost)
        return
    payer = payer_of(run)
    with RequestStore(requests_path(settings)) as replies:
        stages = (judges.stage_of(judge, number) for judge in judges.judges_of(settings))
        spent = replies.spending(payer, *stages)
    ledger.append(
        number,
        settings.annotators,
        pairs=len(given),
        cost=cost,
        cost_paid=spent.cost,
        **spent.counts,
    )
