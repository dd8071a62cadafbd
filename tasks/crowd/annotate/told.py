"""What a person is told of a campaign on the terminal, in lines and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.crowd.annotate.finish import GOLDEN
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.llm.told import about, is_priced

Facts = dict[str, Any]


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("items", f"{summary['items']:,}"),
        *((name, f"{count:,}") for name, count in summary["stopped_by"].items() if name != GOLDEN),
        ("answers", f"{summary['answers']:,}"),
        ("annotators", f"{summary['workers']:,}"),
        *([("eliminated", f"{summary['eliminated']:,}")] if summary["eliminated"] else []),
        ("cost", f"${summary['cost']:,.2f}"),
        *([("accuracy", f"{summary['accuracy']:.4f}")] if summary["accuracy"] is not None else []),
    ]
    return [[name for name, _ in columns], [value for _, value in columns]]


def estimate_line(expected: Facts, settings: AnnotateSettings) -> str:
    """What the campaign takes, in a line."""
    line = f"{expected['least']:,} to {expected['most']:,} answers"
    if settings.annotators == "llm":
        sent, answered = (
            f"{expected['least'] * expected[name]:,.0f} to {expected['most'] * expected[name]:,.0f}"
            for name in ("tokens_sent", "tokens_answered")
        )
        models = f"{len(settings.models) or 1} model{'s' if len(settings.models) > 1 else ''}"
        line += f" of {models}, about {sent} tokens sent and {answered} answered"
    known = settings.annotators != "llm" or is_priced(settings, settings.models)
    line += f": {about(*(expected[name] if known else None for name in ('cost_least', 'cost_most')))}"
    if settings.max_cost is not None and expected["cost_most"] > settings.max_cost:
        line += f"; the budget is ${settings.max_cost:,.2f}"
    return line


def round_line(facts: Facts) -> str:
    """What a round came to, in a line."""
    line = (
        f"round {facts['number']}: {facts['collected']:,} answer{'s' if facts['collected'] != 1 else ''}, {facts['done']:,} of {facts['items']:,} items done, mean confidence "
        f"{facts['confidence']:.3f}"
    )
    return line + (f", {facts['eliminated']} annotators eliminated" if facts["eliminated"] else "")


def rounds_table(rounds: Sequence[Facts]) -> list[list[str]]:
    """A heading and a row for each round."""
    head = ["round", "answers", "done", "sure", "mean confidence", "annotators", "eliminated", "cost"]
    return [
        head,
        *(
            [
                str(one["number"]),
                f"{one['answers']:,}",
                f"{one['done']:,} of {one['items']:,}",
                f"{one['sure']:,}",
                f"{one['confidence']:.4f}",
                f"{one['workers']:,}",
                f"{one['eliminated']:,}",
                f"${one['cost']:,.4f}",
            ]
            for one in rounds
        ),
    ]
