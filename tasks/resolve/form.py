"""Labels from a person in a form of the Prefect UI: the run waits until it is filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.resolve.label import LABELS, wanted_rows
from tasks.resolve.prepare import POOL, load_pairs
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.run import terminal
from tasks.run.tables import read_json

MOST = 40  # pairs in a form that somebody still fills in
DAYS = 7  # that a run waits
_MARK = re.compile(r"[!-/:-@\[-`{-~]")


def wanted(settings: BatcherSettings) -> bool:
    """Whether a person is asked in a form."""
    return not settings.labels and settings.label_by == "form"


def check(settings: BatcherSettings) -> None:
    """Whether there is a UI that shows the form.

    Raises:
        BadInput: there is none.
    """
    from prefect.settings import PREFECT_API_URL

    if wanted(settings) and not PREFECT_API_URL.value():
        raise BadInput(
            "--label-by form needs a Prefect server with a UI: start one by make ui and set PREFECT_API_URL to "
            "http://127.0.0.1:4200/api, or give --label-by file"
        )


def ask(run: Path, settings: BatcherSettings) -> dict[str, bool]:
    """Pause the flow run until the form is filled in; a run that goes on has the labels already.

    Returns:
        By row of the pool whether the two records are the same.

    Raises:
        BadInput: more pairs than anybody fills into a form.
    """
    if (run / LABELS).exists():
        return {row: bool(label) for row, label in read_json(run / LABELS).items()}
    if settings.resume:  # one that begins has been checked before
        check(settings)
    rows = wanted_rows(run)
    if len(rows) > MOST:
        raise BadInput(
            f"{len(rows)} labels are too many for a form (at most {MOST}): give --label-budget {MOST}, or --label-by file"
        )
    from prefect import runtime
    from prefect.flow_runs import pause_flow_run

    terminal.current().note(f"the run waits until its form is filled in: {runtime.flow_run.ui_url}")
    answers: Any = pause_flow_run(
        wait_for_input=form_of(run, settings, rows),
        timeout=DAYS * 86_400,
        key=f"labels-{runtime.flow_run.run_count}",  # of a form that is there already Prefect makes no other
    )
    return {str(row): bool(getattr(answers, f"pair_{place}")) for place, row in enumerate(rows, start=1)}


def form_of(run: Path, settings: BatcherSettings, rows: list[int]) -> Any:
    """A form with a box for each pair, ticked where the two records are the same."""
    from prefect.input import RunInput
    from pydantic import Field, create_model

    texts = records_of(settings).texts(load_pairs(run / POOL).take(np.array(rows, dtype=np.int64)))
    boxes: dict[str, Any] = {
        f"pair_{place}": (
            bool,
            Field(default=False, title=f"Pair {place}: the same?", description=as_markdown(text)),
        )
        for place, text in enumerate(texts, start=1)
    }
    made = create_model("Labels", __base__=RunInput, **boxes)
    return made.with_initial_data(
        description=f"Tick the pairs whose two records are the same. {len(rows)} pairs of run {run.name}."
    )


def as_markdown(text: str) -> str:
    """A text as Markdown, which the UI takes a description for: links and pictures of a record are not followed."""
    return re.sub(r"\s*\n\s*", "\n\n", _MARK.sub(r"\\\g<0>", text))
