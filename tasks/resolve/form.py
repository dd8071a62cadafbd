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

MOST = 40  # pairs in a form that somebody still fills in
DAYS = 7  # that a run waits


def wanted(settings: BatcherSettings) -> bool:
    """Whether a person is asked in a form."""
    return not settings.labels and settings.label_by == "form"


def ask(run: Path, settings: BatcherSettings) -> dict[str, bool] | None:
    """Pause the flow run until the form is filled in. None where the labels are there.

    Returns:
        By row of the pool whether the two records are the same.

    Raises:
        BadInput: more pairs than anybody fills into a form.
    """
    if (run / LABELS).exists():
        return None
    rows = wanted_rows(run)
    if len(rows) > MOST:
        raise BadInput(
            f"{len(rows)} labels are too many for a form (at most {MOST}): give --label-budget {MOST}, or --label-by file"
        )
    from prefect.flow_runs import pause_flow_run

    answers: Any = pause_flow_run(
        wait_for_input=form_of(run, settings, rows), timeout=DAYS * 86_400, key="labels"
    )
    return {str(row): bool(getattr(answers, f"pair_{place}")) for place, row in enumerate(rows, start=1)}


def form_of(run: Path, settings: BatcherSettings, rows: list[int]) -> Any:
    """A form with a box for each pair, ticked where the two records are the same."""
    from prefect.input import RunInput
    from pydantic import Field, create_model

    texts = records_of(settings).texts(load_pairs(run / POOL).take(np.array(rows, dtype=np.int64)))
    boxes: dict[str, Any] = {
        f"pair_{place}": (bool, Field(default=False, title=f"Pair {place}: the same?", description=text))
        for place, text in enumerate(texts, start=1)
    }
    made = create_model("Labels", __base__=RunInput, **boxes)
    return made.with_initial_data(
        description=f"Tick the pairs whose two records are the same. {len(rows)} pairs of run {run.name}."
    )
