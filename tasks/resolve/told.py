"""What a person is told of a run on the terminal, in lines and at its end."""

from __future__ import annotations

from typing import Any

from tasks.llm.told import about
from tasks.resolve.finish import BY_LABEL, BY_MATCHER, BY_MODEL, UNDECIDED
from tasks.resolve.settings import BatcherSettings

Facts = dict[str, Any]


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run as rows: a heading and the figures."""
    by = summary["decided_by"]
    columns = [
        ("questions", f"{summary['questions']:,}"),
        ("matches", f"{summary['matches']:,}"),
        *(
            (f"by {name}", f"{by[name]:,}")
            for name in (BY_MATCHER, BY_MODEL, BY_LABEL, UNDECIDED)
            if by.get(name)
        ),
        ("labels", f"{summary['labels_used']:,}"),
        ("cost", f"${summary['cost']:,.2f}"),
        *(
            (name.upper() if name == "f1" else name, f"{100 * summary[name]:.1f}")
            for name in ("precision", "recall", "f1")
            if name in summary
        ),
    ]
    return [[name for name, _ in columns], [value for _, value in columns]]


def blocking_line(pairs: Facts) -> str:
    """What blocking did, in a line."""
    found = pairs["blocking"]
    line = f"blocking: {found['candidates']:,} of {found['possible']:,} pairs ({found['reduction']:.2%} left out)"
    if found["recall"] is None:
        return line
    return f"{line}; {found['recall']:.1%} of {found['known_matches']:,} known matches among them"


def labels_line(selected: Facts, settings: BatcherSettings) -> str:
    """What is to be labelled, in a line."""
    line = f"{selected['labels']:,} labels, at ${settings.label_price:g} each ${selected['labels'] * settings.label_price:,.2f}"
    if selected["uncovered"]:
        line += f"; {selected['uncovered']:,} questions have no demonstration near"
    return line


def estimate_line(expected: Facts, settings: BatcherSettings) -> str:
    """What asking costs, in a line."""
    most = "at most " if settings.judge == "routed" else ""
    cost = about(expected["cost"]) if expected["cost"] is None else most + about(expected["cost"])
    line = (
        f"the model is asked in {most}about {expected['requests']:,} requests, {expected['tokens_sent']:,} tokens sent and "
        f"{expected['tokens_answered']:,} answered: {cost}"
    )
    if settings.max_cost is not None and expected["cost"] > settings.max_cost:
        line += f", more than the budget of ${settings.max_cost:,.2f}"
    return line
