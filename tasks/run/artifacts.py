"""What a person sees in the Prefect UI: progress, the arms of a round, the cost so far, the figures at the end.

None of it is worth a run: what cannot be shown is logged, and the run goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from tasks.run.log import log


def progress(description: str, key: str = "equal-progress") -> UUID | None:
    """Start a progress bar in the UI; `advance` moves it. Returns None if it could not be made."""
    with _not_worth_a_run():
        made = create_progress_artifact(progress=0.0, key=key, description=description)
        assert isinstance(made, UUID)
        return made
    return None


def advance(artifact: UUID | None, share: float) -> None:
    """Move a progress bar to a share between 0 and 1."""
    if artifact is not None:
        with _not_worth_a_run():
            update_progress_artifact(artifact_id=artifact, progress=round(100 * share, 1))


def arms_table(number: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """The pulls of a round, one row each, the best first."""
    shown = [
        {
            "arm": row["arm"],
            "about": row["terms"],
            "documents": row["documents"],
            "pairs": row["pairs"],
            "reward": _rounded(row["reward"]),
            "bonus": _rounded(row["bonus"]),
            "pulls": row["pulls"],
            "remaining": row["remaining"],
            "cost": _rounded(row["cost"], 6),
        }
        for row in sorted(rows, key=lambda row: -row["reward"])
    ]
    with _not_worth_a_run():
        create_table_artifact(key="equal-arms", table=shown, description=f"Arms pulled in round {number}")


def cost_table(rows: Sequence[Mapping[str, Any]], price: float | None, tokens: int, free: bool) -> None:
    """What was read up to each round (rows of `finish.cumulative`) and what it cost, US dollars.

    Args:
        price: of a million tokens of the documents; None where it is not known.
        tokens: of all documents.
        free: rules read them, and the costs are what a model would take.
    """
    name = "would cost" if free else "cost"
    head = f"| round | documents | tokens | pairs | {name}, $ |\n|---|---|---|---|---|\n"
    lines = "".join(
        f"| {row['round']} | {row['documents']:,} | {row['tokens']:,} | {row['pairs']:,} | {_amount(row['cost'])} |\n"
        for row in rows
    )
    tail = "\nThe rules are free; shown is what a model would take at --price.\n" if free else ""
    if price is None:
        tail += "\nWhat it cost is not known: no prices were given.\n"
    elif rows:
        tail += f"\nSo far ${_amount(rows[-1]['cost'])}; reading every document would cost ${_amount(tokens * price / 1e6)}.\n"
    with _not_worth_a_run():
        create_markdown_artifact(
            key="equal-cost", markdown=head + lines + tail, description="Cost of the extraction"
        )


def stages_table(key: str, stages: Mapping[str, Mapping[str, float]]) -> None:
    """What each stage asked a model and what was paid for it (`Ledger.by_stage`), US dollars."""
    head = "| stage | requests | retries | tokens sent | of them cached | answered | paid, $ |\n|---|---|---|---|---|---|---|\n"
    counts = ("requests", "retries", "tokens_sent", "tokens_cached", "tokens_answered")
    lines = "".join(
        f"| {stage} | {' | '.join(f'{sums[name]:,.0f}' for name in counts)} | {sums['cost_paid']:.4f} |\n"
        for stage, sums in stages.items()
    )
    with _not_worth_a_run():
        create_markdown_artifact(key=key, markdown=head + lines, description="Cost of asking the model")


def figures_table(key: str, rows: Sequence[Sequence[str]], description: str) -> None:
    """A heading and rows of figures, as the terminal shows them."""
    head, *lines = rows
    with _not_worth_a_run():
        create_table_artifact(
            key=key, table=[dict(zip(head, line, strict=True)) for line in lines], description=description
        )


@contextmanager
def _not_worth_a_run() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.warning("not shown in the Prefect UI: %s: %s", type(error).__name__, error)


def _amount(dollars: float | None) -> str:
    return "–" if dollars is None else f"{dollars:.4f}"


def _rounded(value: float | None, digits: int = 4) -> float | None:
    """JSON has no word for infinity, the bonus of an arm that was never pulled."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
