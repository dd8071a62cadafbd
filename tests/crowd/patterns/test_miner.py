"""What is asked next, what is left alone, and that the true rules are found."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tasks.crowd.patterns.crowd import Answer, Recorded, Simulated, ask
from tasks.crowd.patterns.miner import Miner, Policy
from tasks.crowd.patterns.rules import Rule, generalisations, items_of, joins, rule_of, turned
from tasks.crowd.patterns.transactions import (
    frequent,
    own_rules,
    significant_rules,
    transactions_of,
)
from tasks.records import BadInput

TEA = rule_of(["tea"], ["honey"])
LEMON = rule_of(["tea", "lemon"], ["honey"])
POLICY = Policy(theta_s=0.2, theta_c=0.5)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def small() -> list[tuple[str, list[str]]]:
    """Twelve workers; tea goes with honey, bread with butter, the rest is rare or goes with nothing."""
    draw = np.random.default_rng(4)
    rows = []
    for worker in range(12):
        for _ in range(25):
            items = []
            for left, right, often in (
                ("tea", "honey", 0.5),
                ("bread", "butter", 0.45),
                ("jam", "nuts", 0.08),
            ):
                if draw.random() < often:
                    items += [left, *([right] if draw.random() < 0.85 else [])]
            items += [name for name in ("milk", "figs", "rice") if draw.random() < 0.2]
            rows.append((f"w{worker}", items))
    return rows


DATA = transactions_of(small())


def test_rules_are_equal_however_they_are_written() -> None:
    assert rule_of(items_of(" Tea;lemon ; tea", ";"), items_of("HONEY", ";")) == rule_of(
        ["lemon", "tea"], ["honey"]
    )
    assert str(LEMON) == "lemon, tea -> honey"
    for left, right in (([], ["a"]), (["a"], ["a"]), (["a"], [])):
        with pytest.raises(BadInput, match="different things"):
            rule_of(left, right)


def test_neighbours() -> None:
    assert list(generalisations(LEMON)) == [TEA, rule_of(["lemon"], ["honey"])]
    assert list(generalisations(TEA)) == []
    milk = rule_of(["milk"], ["honey"])
    assert list(joins(TEA, [milk, TEA, LEMON, rule_of(["milk"], ["rice"])], 3)) == [
        rule_of(["milk", "tea"], ["honey"])
    ]
    assert list(joins(milk, [LEMON], 3)) == []
    assert set(turned(LEMON)) == {rule_of(["honey", "lemon"], ["tea"]), rule_of(["honey", "tea"], ["lemon"])}


def brute_force(theta_s: float, theta_c: float) -> dict[Rule, tuple[float, float]]:
    """All rules of up to three items, by counting."""
    from itertools import combinations

    by_worker: dict[str, list[set[str]]] = {}
    for worker, items in small():
        by_worker.setdefault(worker, []).append(set(items))
    names = sorted({item for _, items in small() for item in items})
    found = {}
    for size in (2, 3):
        for chosen in combinations(names, size):
            for right in chosen:
                left = set(chosen) - {right}
                supports, confidences = [], []
                for occasions in by_worker.values():
                    both = sum(set(chosen) <= one for one in occasions)
                    had = sum(left <= one for one in occasions)
                    supports.append(both / len(occasions))
                    confidences.append(both / had if had else 0.0)
                if np.mean(supports) >= theta_s and np.mean(confidences) >= theta_c:
                    found[rule_of(left, [right])] = (np.mean(supports), np.mean(confidences))
    return found


def test_true_rules_are_those_that_counting_finds() -> None:
    for theta_s, theta_c in ((0.2, 0.5), (0.04, 0.3)):
        found, counted = significant_rules(DATA, theta_s, theta_c, 3), brute_force(theta_s, theta_c)
        assert found.keys() == counted.keys()
        assert all(found[rule] == pytest.approx(counted[rule]) for rule in found)
    assert {TEA, rule_of(["bread"], ["butter"])} <= set(significant_rules(DATA, 0.2, 0.5, 3))


def test_own_rules_and_answers_of_a_worker() -> None:
    one = transactions_of(small()[:25])
    assert own_rules(one, 0, 0.2, 0.5, 3).keys() == significant_rules(one, 0.2, 0.5, 3).keys()
    support, confidence = one.answer(0, TEA)
    assert (support, confidence) == pytest.approx(significant_rules(one, 0.1, 0.1, 2)[TEA])
    assert one.answer(0, rule_of(["tea"], ["unheard of"])) == (0, 0)
    assert frequent(np.zeros((0, 3), dtype=bool), 0.1, 2) == {}


def test_the_most_open_rule_is_asked_of() -> None:
    miner = Miner(Policy(0.2, 0.5, open_share=0.0, expand=False, prune=False), [TEA, LEMON])
    for value in (0.0, 0.05, 0.0, 0.1, 0.0, 0.05):
        miner.answer(LEMON, value, value)
    for value in (0.3, 0.1, 0.2, 0.3, 0.1, 0.2):
        miner.answer(TEA, value, 0.5)
    assert miner.next(random())[0].rule == TEA
    assert not miner.significant[miner.place[LEMON]]


def test_what_is_surely_rare_makes_all_that_contains_it_insignificant() -> None:
    butter = rule_of(["bread"], ["butter"])
    miner = Miner(Policy(0.2, 0.5, open_share=0.0), [TEA, LEMON, butter])
    for _ in range(12):
        miner.answer(TEA, 0.0, 0.0)
    assert miner.pruned.tolist() == [False, True, False]
    miner.add([rule_of(["honey", "milk"], ["tea"])])
    assert miner.pruned[3]
    assert {question.rule for question in miner.next(random(), 20)} <= {TEA, butter}
    for _ in range(40):
        miner.answer(TEA, 1.0, 1.0)  # it was a mistake
    assert not miner.pruned.any()


def test_neighbours_of_a_significant_rule_become_known() -> None:
    miner = Miner(POLICY)
    for _ in range(3):
        miner.answer(LEMON, 0.6, 0.9)
    assert {TEA, rule_of(["lemon"], ["honey"]), *turned(LEMON)} <= set(miner.rules)
    assert len(Miner(Policy(0.2, 0.5, expand=False), [LEMON])) == 1


def test_open_questions_make_a_share_or_follow_what_they_are_worth() -> None:
    miner = Miner(Policy(0.2, 0.5, open_share=0.25), [TEA, LEMON])
    kinds = Counter(question.rule is None for question in miner.next(random(), 40))
    assert kinds[True] == 10
    by_gain = Miner(Policy(0.2, 0.5, open_share=None))
    assert by_gain.next(random())[0].rule is None  # nothing else is known
    first = by_gain.open_gain
    for _ in range(30):
        by_gain.tell(TEA)  # everybody tells the same
    assert by_gain.open_gain < first / 10


def test_a_batch_does_not_ask_the_same_again_and_again() -> None:
    rules = [rule_of([f"a{number}"], ["b"]) for number in range(10)]
    miner = Miner(Policy(0.2, 0.5, open_share=0.0), rules)
    counts = Counter(question.rule for question in miner.next(random(), 30))
    assert len(counts) == 10
    assert max(counts.values()) <= 4


def test_who_is_silent_is_not_asked_openly_again() -> None:
    crowd = Recorded([Answer("w", TEA, 0.5, 0.5)], [Answer("v", TEA, 1.0, 1.0)])
    miner = Miner(Policy(0.2, 0.5, expand=False))
    said = []
    while answer := ask(miner, crowd, random()):
        said.append((answer[0].worker, answer[1]))
    assert said == [("v", True), ("w", False)]
    assert miner.silent
    assert miner.count.tolist() == [1]  # the open answer does not count for the numbers


def test_simulated_workers_answer_each_rule_once_and_round() -> None:
    crowd = Simulated(DATA, 0.2, 0.5, 3, 5, random())
    answers = [crowd.closed(TEA) for _ in range(12)]
    assert len({answer.worker for answer in answers if answer}) == 12
    assert crowd.closed(TEA) is None
    assert {answer.support for answer in answers if answer} <= {0, 0.25, 0.5, 0.75, 1}
    exact = Simulated(DATA, 0.2, 0.5, 3, 0, random()).closed(TEA)
    assert exact
    assert exact.support == DATA.answer(DATA.workers.index(exact.worker), TEA)[0]
    told = []
    while answer := crowd.open():
        told.append((answer.worker, answer.rule))
    assert (
        len(told) == len(set(told)) == sum(len(own_rules(DATA, worker, 0.2, 0.5, 3)) for worker in range(12))
    )


@pytest.mark.parametrize("choice", ["error", "random", "fewest"])
def test_the_true_rules_are_found(choice: str) -> None:
    truth = significant_rules(DATA, 0.2, 0.5, 3)
    miner = Miner(Policy(0.2, 0.5, choice=choice, open_share=0.1))  # type: ignore[arg-type]
    crowd, draw = Simulated(DATA, 0.2, 0.5, 3, 0, random()), random()
    for _ in range(250):
        if ask(miner, crowd, draw) is None:
            break
    said = {miner.rules[at] for at in np.flatnonzero(miner.significant)}
    assert 2 * len(said & set(truth)) / (len(said) + len(truth)) > 0.75
