"""Answers, rules and occasions that are given in files, and how rules are written in tables."""

from __future__ import annotations

from tasks.corpus.rows import check_usable
from tasks.crowd.patterns.crowd import Answer
from tasks.crowd.patterns.people import shares_of
from tasks.crowd.patterns.rules import Rule, items_of, rule_of
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.crowd.patterns.transactions import Transactions, transactions_of
from tasks.crowd.read import read_table
from tasks.records import BadInput, Reject
from tasks.storage.sheets import as_text, from_text

SAID_BEFORE = "answered before"


def answers_given(settings: PatternsSettings) -> tuple[list[tuple[Answer, bool]], list[Reject]]:
    """Recorded answers, each with whether it is to an open question; and rows that are none, or a worker's second to a closed one.

    Raises:
        BadInput: no row is one, or more are none than may be.
    """
    names = ["worker", "antecedent", "consequent", "support"]
    table = read_table(settings.answers, names, "--answers", optional=["confidence", "kind"])
    found, rejected, said = [], list(table.rejected), set()
    for row, cells in enumerate(zip(*table.columns, strict=True)):
        *texts, support, confidence, kind = cells
        worker, left, right = map(from_text, texts)
        place = table.place(row)
        try:
            rule = rule_of(items_of(left, settings.separator), items_of(right, settings.separator))
            answer = Answer(worker, rule, *shares_of(support, confidence, place))
        except BadInput as error:
            rejected.append(Reject("read answers", "no answer", place, str(error)))
            continue
        is_open = kind.casefold() == "open"
        if not is_open and (worker, rule) in said:
            rejected.append(said_before(answer, place))
            continue
        if not is_open:
            said.add((worker, rule))
        found.append((answer, is_open))
    broken = [one for one in rejected if one.reason != SAID_BEFORE]
    check_usable(
        broken, len(found) + len(rejected) - len(broken), settings.max_broken, "--answers", settings.answers
    )
    return found, rejected


def said_before(answer: Answer, place: str) -> Reject:
    """What becomes of a worker's second answer to the same closed question."""
    detail = f"{answer.worker} had answered {answer.rule} before; the first answer counts"
    return Reject("read answers", SAID_BEFORE, place, detail)


def rules_given(settings: PatternsSettings) -> list[Rule]:
    """Rules that are known from the start."""
    names = ["antecedent", "consequent"]
    columns = read_table(settings.rules, names, "--rules", max_broken=settings.max_broken).columns
    return [
        rule_of(*(items_of(from_text(side), settings.separator) for side in (left, right)))
        for left, right in zip(*columns, strict=True)
    ]


def transactions_given(settings: PatternsSettings) -> Transactions:
    """Occasions of the workers who are simulated."""
    names = ["worker", "items"]
    columns = read_table(settings.simulate, names, "--simulate", max_broken=settings.max_broken).columns
    return transactions_of(
        (worker, items_of(text, settings.separator)) for worker, text in zip(*columns, strict=True)
    )


def texts_of(rule: Rule, settings: PatternsSettings) -> list[str]:
    """Both sides of a rule as cells of a table."""
    return [as_text(f"{settings.separator} ".join(side)) for side in (rule.antecedent, rule.consequent)]


def sides_of(rule: Rule) -> list[list[str]]:
    """Both sides of a rule as JSON holds them."""
    return [list(rule.antecedent), list(rule.consequent)]
