"""Labels by what workers answered and by what the items are."""

from __future__ import annotations

from prefect import flow, runtime

from flows.crowd.learning import from_answers
from tasks.crowd.learn import finish
from tasks.crowd.learn.settings import ClassifySettings
from tasks.run.folder import named
from tasks.run.stages import Facts

FLOW = ClassifySettings.flow


@flow(name=FLOW, flow_run_name=lambda: f"{FLOW} {named(FLOW, _settings_of_run(), runtime.flow_run).run}")
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


def _settings_of_run() -> ClassifySettings:
    settings: ClassifySettings = runtime.flow_run.parameters["settings"]
    return settings
