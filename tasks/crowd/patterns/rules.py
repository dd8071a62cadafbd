"""Association rules over names of things that people do: a, b -> c."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.records import BadInput


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """Those who do the antecedent do the consequent too.

    Args:
        antecedent, consequent: names in order, none in both, neither empty. Made by `rule_of`.
    """

    antecedent: tuple[str, ...]
    consequent: tuple[str, ...]

    @property
    def items(self) -> frozenset[str]:
        return frozenset(self.antecedent + self.consequent)

    def __str__(self) -> str:
        return f"{', '.join(self.antecedent)} -> {', '.join(self.consequent)}"


def rule_of(antecedent: Iterable[str], consequent: Iterable[str]) -> Rule:
    """A rule with its items in order; what is on both sides stays in the antecedent.

    Raises:
        BadInput: a side is empty.
    """
    left = tuple(sorted(set(antecedent)))
    right = tuple(sorted(set(consequent) - set(left)))
    if not left or not right:
        raise BadInput(
            f"a rule needs different things on both sides, not {', '.join(left)!r} -> {', '.join(right)!r}"
        )
    return Rule(left, right)


def items_of(text: str, separator: str) -> tuple[str, ...]:
    """Items that a text lists, each once, in order; case and the number of spaces make no difference."""
    found = (" ".join(item.split()).casefold() for item in text.split(separator))
    return tuple(sorted({item for item in found if item}))


def generalisations(rule: Rule) -> Iterator[Rule]:
    """The rules with one item less in the antecedent; their support is as large at least."""
    if len(rule.antecedent) > 1:
        for item in rule.antecedent:
            yield Rule(tuple(one for one in rule.antecedent if one != item), rule.consequent)


def joins(rule: Rule, others: Iterable[Rule], most: int) -> Iterator[Rule]:
    """Rules with the antecedents of two that have the same consequent.

    Args:
        most: items of a rule, both sides together.
    """
    for other in others:
        if other.consequent == rule.consequent and other.antecedent != rule.antecedent:
            left = tuple(sorted({*rule.antecedent, *other.antecedent}))
            if len(left) + len(rule.consequent) <= most and left not in (rule.antecedent, other.antecedent):
                yield Rule(left, rule.consequent)


def turned(rule: Rule) -> Iterator[Rule]:
    """The other rules of one consequence over the same items; their support is the same."""
    items = sorted(rule.items)
    for item in items:
        if (item,) != rule.consequent:
            yield Rule(tuple(one for one in items if one != item), (item,))
