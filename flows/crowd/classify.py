"""Labels by what workers answered and by what the items are."""

from __future__ import annotations

from prefect import flow

from flows.crowd.learning import from_answers
from tasks.crowd.learn import finish
from tasks.crowd.learn.settings import ClassifySettings
from tasks.run.stages import Facts, run_label

FLOW = ClassifySettings.flow


@flow(name=FLOW, flow_run_name=run_label(FLOW))
def classify(settings: ClassifySettings) -> Facts:
    """Label every item. Returns the figures that are written to summary.json.

    Raises:
        BadInput: something given cannot be used.
        Stopped: a check stopped it; it can be resumed.
    """
    return from_answers(settings, "What was labelled")


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    return finish.shown(summary)
