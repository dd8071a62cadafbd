"""Labels from a person in a form of the Prefect UI: the run waits until it is filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.resolve.label import LABELS, wanted_rows
from tasks.resolve.prepare import POOL, load_pairs
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.run.forms import MOST, as_markdown, check_ui, wait_for
from tasks.storage.tables import read_json


def wanted(settings: BatcherSettings) -> bool:
    """Whether a person is asked in a form."""
    return not settings.labels and settings.label_by == "form"


def check(settings: BatcherSettings) -> None:
    """Whether there is a UI that shows the form.

    Raises:
        BadInput: there is none.
    """
    if wanted(settings):
        check_ui("--label-by form", "--label-by file")


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
    answers = wait_for(form_of(run, settings, rows), "labels")
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
