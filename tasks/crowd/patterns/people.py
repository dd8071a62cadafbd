"""People as the crowd: questions in a file, answers out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.crowd.patterns.crowd import Answer
from tasks.crowd.patterns.miner import Miner, Question
from tasks.crowd.patterns.rules import Rule, items_of, rule_of
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.wanted import QUESTION, Row, numbered, round_of, share_of
from tasks.records import BadInput
from tasks.storage.sheets import from_text

HEAD = (QUESTION, "ask", "antecedent", "consequent", "worker", "support", "confidence")

_OPEN = (
    "What do you do together? Name what you do (antecedent), what you often do with it (consequent), how often you do all of it "
    "(support), and how often the consequent when you do the antecedent (confidence)."
)
_SLACK = 1e-9  # 12.3% and 0.123 are not the same to the last bit
_HOW = (
    "write who answers (worker), how often they do all of it (support) and how often the consequent when they do the antecedent "
    "(confidence, 0 to 1 or percentages), and for an open question the rule"
)


def ask_people(
    run: Path, settings: PatternsSettings, miner: Miner, count: int, generator: np.random.Generator
) -> tuple[list[Any], list[Row]]:
    """The next round of questions, answered.

    Returns:
        What was asked, and the rows of the file.

    Raises:
        Stopped: they have to be answered first.
        BadInput: an answer is none.
    """

    def make() -> tuple[list[Any], list[list[Any]]]:
        questions = miner.next(generator, count)
        asked, rows = [], []
        for number, question in enumerate(questions, start=1):
            rule = question.rule
            sides = (
                ["", ""]
                if rule is None
                else [_side(rule.antecedent, settings), _side(rule.consequent, settings)]
            )
            asked.append({"rule": rule and [rule.antecedent, rule.consequent], "gain": question.gain})
            rows.append([number, _closed(rule) if rule else _OPEN, *sides, "", "", ""])
        return asked, rows

    return round_of(run, HEAD, make, lambda row, place: _is_answered(row, place, settings), _HOW)


def answers_of(
    asked: Sequence[Any], rows: Sequence[Row], settings: PatternsSettings
) -> list[tuple[Answer, bool, float]]:
    """Each answer, whether it was an open one, and what was expected of it."""
    found = []
    for line, row in enumerate(rows, start=2):
        question = numbered(asked, row, f"wanted.csv:{line}")
        rule = question["rule"]
        told = Rule(*map(tuple, rule)) if rule else _told(row, f"wanted.csv:{line}", settings)
        shares = shares_of(row["support"], row["confidence"], f"wanted.csv:{line}")
        found.append((Answer(row["worker"], told, *shares), rule is None, question["gain"]))
    return found


def drop_unanswered(asked: Sequence[Any], rows: Sequence[Row], miner: Miner) -> None:
    """What was asked and has no row any more is not asked again: whoever removed it found nobody who can answer.

    Open questions are all the same: they go on while one of them was answered.

    Args:
        rows: as `answers_of` takes them.
    """
    answered = {int(row[QUESTION]) for row in rows}
    told = any(asked[number - 1]["rule"] is None for number in answered)
    for number, question in enumerate(asked, start=1):
        if number not in answered:
            rule = question["rule"] and Rule(*map(tuple, question["rule"]))
            miner.drop(Question(rule, question["gain"]), for_good=rule is not None or not told)


def shares_of(support: str, confidence: str, place: str) -> tuple[float, float]:
    """Support and confidence as somebody wrote them; who never does all of it need not say how often the consequent follows.

    Raises:
        BadInput: one is no share, or all of it is said to happen more often than the consequent with the antecedent.
    """
    often = share_of(support, place)
    if often > 0 and not confidence:
        raise BadInput(
            f"{place}: a support and no confidence; write how often the consequent with the antecedent"
        )
    follows = share_of(confidence or "0", place)
    if often > follows + _SLACK:
        raise BadInput(
            f"{place}: a support of {support} is more than the confidence of {confidence}, which cannot be: support is a share of all "
            "occasions, confidence the same of those with the antecedent; correct one of them"
        )
    return often, follows


def _is_answered(row: Row, place: str, settings: PatternsSettings) -> bool:
    if not row["support"]:
        return False
    if not row["worker"]:
        raise BadInput(f"{place}: no worker; write who answered")
    shares_of(row["support"], row["confidence"], place)
    _told(row, place, settings)
    return True


def _told(row: Row, place: str, settings: PatternsSettings) -> Rule:
    try:
        sides = (items_of(from_text(row[side]), settings.separator) for side in ("antecedent", "consequent"))
        return rule_of(*sides)
    except BadInput as error:
        raise BadInput(f"{place}: {error}; items of a side are separated by {settings.separator}") from None


def _closed(rule: Rule) -> str:
    everything = ", ".join(rule.antecedent + rule.consequent)
    return (
        f"How often do you do all of this: {everything}? (support) When you do {', '.join(rule.antecedent)}, "
        f"how often {', '.join(rule.consequent)} too? (confidence)"
    )


def _side(items: Sequence[str], settings: PatternsSettings) -> str:
    return f"{settings.separator} ".join(items)
