"""Forms of the Prefect UI that a run waits for."""

from __future__ import annotations

import re
from typing import Any

from tasks.records import BadInput
from tasks.run import terminal

MOST = 40  # questions in a form that somebody still fills in
DAYS = 7  # that a run waits
_MARK = re.compile(r"[!-/:-@\[-`{-~]")


def check_ui(flag: str, instead: str) -> None:
    """Whether there is a UI that shows a form.

    Args:
        flag: that wants one, for messages.
        instead: what to give without it.

    Raises:
        BadInput: there is none.
    """
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise BadInput(
            f"{flag} needs a Prefect server with a UI: start one by make ui and set PREFECT_API_URL to "
            f"http://127.0.0.1:4200/api, or give {instead}"
        )


def wait_for(form: Any, name: str) -> Any:
    """Pause the flow run until a form is filled in.

    Args:
        form: a RunInput, perhaps with initial data.
        name: letters; of a form that is there already Prefect makes no other, so that each try of a run has its own.
    """
    from prefect import runtime
    from prefect.flow_runs import pause_flow_run

    terminal.current().note(f"the run waits until its form is filled in: {runtime.flow_run.ui_url}")
    return pause_flow_run(
        wait_for_input=form, timeout=DAYS * 86_400, key=f"{name}-{runtime.flow_run.run_count}"
    )


def as_markdown(text: str) -> str:
    """A text as Markdown, which the UI takes a description for: links and pictures in it are not followed."""
    return re.sub(r"\s*\n\s*", "\n\n", _MARK.sub(r"\\\g<0>", text))
