"""A classifier for items that nobody labelled, from answers of workers who differ."""

from __future__ import annotations

from prefect import flow

from flows.crowd.learning import from_answers
from tasks.crowd.learn import finish
from tasks.crowd.learn.settings import LearnSettings
from tasks.run.stages import Facts, run_label

FLOW = LearnSettings.flow


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def learn(settings: LearnSettings) -> Facts:
    """Train a model, and predict the items that nobody answered. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check stopped it; it can be resumed.
    """
    return from_answers(settings, "What was learnt")


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
