"""The disputed few, decided by somebody in a form of the Prefect UI."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from tasks.crowd.annotate.campaign import LAST, STORE, Campaign, opened
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.annotate.store import CampaignStore
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.run.forms import as_markdown, check_ui, wait_for

LEAVE = "(leave it as it is)"
_ASKED = "asked for adjudication"


def check(settings: AnnotateSettings) -> None:
    """Whether there is a UI that shows the form.

    Raises:
        BadInput: there is none.
    """
    if settings.adjudicate:
        check_ui("--adjudicate", "--adjudicate 0")


def ask(run: Path, settings: AnnotateSettings) -> dict[str, str]:
    """Pause the flow run until the form is filled in, once; nothing where nothing is in dispute.

    Returns:
        What was decided: labels by item.
    """
    with opened(run, settings, LAST) as campaign:
        tasks = disputed(campaign)[: settings.adjudicate]
        if not tasks or campaign.store.note(_ASKED):
            return campaign.store.adjudicated()
        form, ids = form_of(campaign, tasks, run.name), [campaign.items.ids[task] for task in tasks]
    check(settings)
    answers = wait_for(form, "adjudicate")
    chosen = {id: getattr(answers, f"item_{place}") for place, id in enumerate(ids, start=1)}
    with CampaignStore(run / STORE) as store:
        store.adjudicate({id: label for id, label in chosen.items() if label != LEAVE})
        store.set_note(_ASKED, "yes")
        return store.adjudicated()


def disputed(campaign: Campaign) -> list[int]:
    """Codes of items that were answered and whose label is not sure, the least sure first."""
    confidence = campaign.belief.posterior.max(axis=1)
    unsure = (campaign.known == UNKNOWN) & (campaign.counts > 0) & (confidence < campaign.settings.confidence)
    places = np.flatnonzero(unsure)
    ordered: list[int] = places[np.argsort(confidence[places], kind="stable")].tolist()
    return ordered


def form_of(campaign: Campaign, tasks: list[int], name: str) -> Any:
    """A form with a choice of labels for each item, under its text and votes."""
    from prefect.input import RunInput
    from pydantic import Field, create_model

    labels, items = campaign.settings.labels, campaign.items
    votes: dict[str, dict[str, int]] = {}
    for one in campaign.answers:
        if one.worker not in campaign.eliminated:
            of_item = votes.setdefault(one.task, {})
            of_item[one.label] = of_item.get(one.label, 0) + 1
    boxes: dict[str, Any] = {}
    for place, task in enumerate(tasks, start=1):
        said = ", ".join(f"{label}: {votes[items.ids[task]].get(label, 0)}" for label in labels)
        boxes[f"item_{place}"] = (
            Literal[(*labels, LEAVE)],
            Field(
                default=LEAVE,
                title=f"Item {place}",
                description=as_markdown(f"{items.as_text(task)}\nVotes: {said}"),
            ),
        )
    made = create_model("Adjudication", __base__=RunInput, **boxes)
    return made.with_initial_data(
        description=f"{as_markdown(campaign.settings.question)} {len(tasks)} items of run {name} are in dispute."
    )
