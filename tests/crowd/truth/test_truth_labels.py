"""Truth inference over labels: against plain loops over dictionaries, and against what was simulated."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.crowd.answers import Answers, answers_of, in_order
from tasks.crowd.truth.collapsed import CollapsedBayes
from tasks.crowd.truth.dawid_skene import DawidSkene, confusion_of
from tasks.crowd.truth.glad import Glad
from tasks.crowd.truth.inferred import UNKNOWN, golden_of
from tasks.crowd.truth.mace import Mace
from tasks.crowd.truth.methods import METHODS
from tasks.crowd.truth.one_coin import ZenCrowd
from tasks.crowd.truth.weighted import Catd, Pm
from tasks.records import BadInput


def crowd(
    tasks: int = 300, workers: int = 12, each: int = 5, labels: int = 3, seed: int = 0
) -> tuple[Answers, np.ndarray, np.ndarray]:
    """Simulated answers, the truth, and the workers' confusion matrices."""
    random = np.random.default_rng(seed)
    truth = random.integers(labels, size=tasks)
    confusion = np.array([np.eye(labels) * s + (1 - s) / labels for s in np.linspace(0.05, 0.95, workers)])
    rows = [
        (f"t{task}", f"w{worker}", str(random.choice(labels, p=confusion[worker, truth[task]])))
        for task in range(tasks)
        for worker in random.choice(workers, each, replace=False)
    ]
    answers = answers_of(*zip(*rows, strict=True), labels=[str(one) for one in range(labels)])
    return answers, truth, confusion[[int(worker[1:]) for worker in answers.workers]]


def looped(answers: Answers) -> dict[int, list[tuple[int, int]]]:
    """(worker, label) of each task."""
    found = defaultdict(list)
    for task, worker, label in zip(answers.task, answers.worker, answers.label, strict=True):
        found[int(task)].append((int(worker), int(label)))
    return found


def by_votes(given: dict[int, list[tuple[int, int]]], labels: int) -> dict[int, list[float]]:
    return {
        task: [sum(label == one for _, label in rows) / len(rows) for one in range(labels)]
        for task, rows in given.items()
    }


def normalised(weights: list[float]) -> list[float]:
    return [one / sum(weights) for one in weights]


@pytest.mark.parametrize(("diagonal", "elsewhere"), [(0.0, 0.0), (2.0, 0.5)])
def test_dawid_skene_is_that_of_plain_loops(diagonal: float, elsewhere: float) -> None:
    answers, _, _ = crowd(tasks=60)
    labels, given = len(answers.labels), looped(answers)
    posterior = by_votes(given, labels)
    for _ in range(4):
        share = [sum(row[one] for row in posterior.values()) / len(posterior) for one in range(labels)]
        counts: dict[Any, float] = defaultdict(float)
        for task, rows in given.items():
            for worker, label in rows:
                for true in range(labels):
                    counts[worker, true, label] += posterior[task][true]
        for worker in range(len(answers.workers)):
            for true in range(labels):
                row = [
                    counts[worker, true, label] + (diagonal if label == true else elsewhere)
                    for label in range(labels)
                ]
                for label in range(labels):
                    counts[worker, true, label] = max(row[label] / sum(row), 1e-10)
        posterior = {
            task: normalised(
                [
                    share[true] * math.prod(counts[worker, true, label] for worker, label in rows)
                    for true in range(labels)
                ]
            )
            for task, rows in given.items()
        }
    found = DawidSkene(diagonal=diagonal, elsewhere=elsewhere, most=4).infer(answers)
    assert found.posterior == pytest.approx(np.array([posterior[task] for task in range(60)]), abs=1e-9)
    assert found.iterations == 4


def test_zencrowd_is_that_of_plain_loops() -> None:
    answers, _, _ = crowd(tasks=60)
    labels, given = len(answers.labels), looped(answers)
    posterior = by_votes(given, labels)
    for _ in range(5):
        right, count = defaultdict(float), defaultdict(int)
        for task, rows in given.items():
            for worker, label in rows:
                right[worker] += posterior[task][label]
                count[worker] += 1
        q = {worker: right[worker] / count[worker] for worker in count}
        posterior = {
            task: normalised(
                [
                    math.prod(q[w] if label == true else (1 - q[w]) / (labels - 1) for w, label in rows)
                    for true in range(labels)
                ]
            )
            for task, rows in given.items()
        }
    found = ZenCrowd(most=5).infer(answers)
    assert found.posterior == pytest.approx(np.array([posterior[task] for task in range(60)]), abs=1e-9)


def test_collapsed_bayes_is_that_of_plain_loops() -> None:
    """Counts without the answer itself, and the crowd's matrix, which has a newcomer's ten answers to each label, as four more."""
    answers, _, _ = crowd(tasks=60)
    labels, given = len(answers.labels), looped(answers)
    names = range(labels)
    posterior = by_votes(given, labels)
    for _ in range(3):
        own: dict[Any, float] = defaultdict(float)
        for task, rows in given.items():
            for worker, label in rows:
                for true in names:
                    own[worker, true, label] += posterior[task][true]
        crowds = [
            normalised(
                [
                    sum(own[worker, true, label] for worker in range(len(answers.workers)))
                    + 10 * (0.7 if label == true else 0.3 / (labels - 1))
                    for label in names
                ]
            )
            for true in names
        ]
        share = [sum(row[true] for row in posterior.values()) / len(posterior) for true in names]
        after = {}
        for task, rows in given.items():
            weights = list(share)
            for worker, label in rows:
                for true in names:
                    told = own[worker, true, label] - posterior[task][true] + 4 * crowds[true][label]
                    seen = sum(own[worker, true, other] for other in names) - posterior[task][true] + 4
                    weights[true] *= told / seen
            after[task] = normalised(weights)
        posterior = after
    found = CollapsedBayes(most=3).infer(answers)
    assert found.posterior == pytest.approx(np.array([posterior[task] for task in range(60)]), abs=1e-9)


def test_collapsed_bayes_needs_fewer_answers_than_expectation_maximisation() -> None:
    """Workers with five answers each: what the crowd is like says more of them than these."""
    right: dict[str, list[float]] = {"ds": [], "cvb": []}
    for seed in range(5):
        answers, truth, _ = crowd(tasks=300, workers=180, each=3, seed=seed)
        place = [int(name[1:]) for name in answers.tasks]
        for method, found in right.items():
            found.append(float((METHODS[method]().infer(answers).best == truth[place]).mean()))
    assert np.mean(right["cvb"]) > np.mean(right["ds"]) + 0.03


@pytest.mark.parametrize("method", ["ds", "lfc", "ibcc"])
def test_leaps_end_where_steps_do_and_sooner(method: str) -> None:
    answers, _, _ = crowd(tasks=400, workers=30)
    made = METHODS[method]()
    assert isinstance(made, DawidSkene)
    leapt, stepped = made.infer(answers), replace(made, plain=made.most).infer(answers)
    assert leapt.posterior == pytest.approx(stepped.posterior, abs=1e-3)
    assert leapt.posterior.sum(axis=1) == pytest.approx(np.ones(400))
    assert leapt.iterations < 0.7 * stepped.iterations


def test_golden_tasks_stay_what_they_are_under_leaps() -> None:
    answers, truth, _ = crowd(tasks=400, workers=30)
    golden = np.where(np.arange(400) < 40, truth, UNKNOWN)
    found = METHODS["ds"]().infer(answers, golden)
    assert found.iterations > 30
    assert (found.posterior[np.arange(40), truth[:40]] == 1).all()


def test_glad_ends_where_expectation_maximisation_stays() -> None:
    """At the parameters found, a maximisation under their own posterior does not move."""
    from scipy.optimize import minimize

    answers, _, _ = crowd(tasks=40)
    found = Glad(tolerance=1e-7, most=5000).infer(answers)
    assert found.weight is not None
    right = found.posterior[answers.task, answers.label]
    workers = len(answers.workers)

    def expected(parameters: np.ndarray) -> float:
        ability, ease = parameters[:workers], np.exp(parameters[workers:])
        strength = ability[answers.worker] * ease[answers.task]
        fit = right * np.log(1 / (1 + np.exp(-strength))) + (1 - right) * np.log(1 / (1 + np.exp(strength)))
        return float(-fit.sum() + ((parameters - 1) ** 2).sum() / 2)

    settled = minimize(expected, np.ones(workers + 40), method="BFGS", options={"gtol": 1e-5})
    assert found.weight == pytest.approx(settled.x[:workers], abs=5e-3)


@pytest.mark.parametrize("method", [*METHODS])
def test_every_method_beats_a_vote_or_is_one_where_workers_differ(method: str) -> None:
    answers, truth, confusion = crowd(tasks=400)
    found = METHODS[method]().infer(answers)
    vote = METHODS["mv"]().infer(answers)
    assert (found.best == truth).mean() >= (vote.best == truth).mean()
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(400))
    assert np.corrcoef(found.quality, confusion[:, 0, 0])[0, 1] > 0.9


def test_dawid_skene_finds_the_confusion_matrices() -> None:
    answers, _, confusion = crowd(tasks=3000, workers=6, each=4)
    found = DawidSkene().infer(answers)
    assert found.confusion is not None
    assert np.abs(found.confusion - confusion).max() < 0.08
    assert found.confusion.sum(axis=2) == pytest.approx(np.ones((6, 3)), abs=1e-6)


def test_prior_counts_of_one_worker_are_of_that_worker() -> None:
    answers, _truth, _ = crowd(tasks=80, each=3)
    known = np.zeros((12, 3, 3))
    known[3] = 1000 * np.eye(3)
    found = DawidSkene().infer(answers, prior=known)
    assert found.confusion is not None
    assert found.confusion[3].diagonal().min() > 0.97
    assert found.confusion[11].diagonal().min() < 0.97


def test_mace_tells_who_guesses() -> None:
    answers, _, confusion = crowd(tasks=400)
    found = Mace().infer(answers)
    assert found.weight is not None
    order = np.argsort(confusion[:, 0, 0])
    assert found.weight[order[:2]].max() < 0.25
    assert found.weight[order[-2:]].min() > 0.75
    again = Mace().infer(answers)
    assert np.array_equal(found.posterior, again.posterior)


@pytest.mark.parametrize("method", [*METHODS])
def test_golden_tasks_stay_and_teach_who_is_reliable(method: str) -> None:
    """Most workers are wrong alike; only golden tasks can tell."""
    rows = [
        (f"t{task}", f"w{worker}", "no" if worker < 3 else "yes") for task in range(20) for worker in range(5)
    ]
    answers = answers_of(*zip(*rows, strict=True))
    golden = golden_of(answers, {f"t{task}": "yes" for task in range(14)})
    assert (golden[:14] == answers.labels.index("yes")).all()
    assert (golden[14:] == UNKNOWN).all()
    found = METHODS[method]().infer(answers, golden)
    assert found.confidence[:14] == pytest.approx(np.ones(14))
    assert {answers.labels[one] for one in found.best[:14]} == {"yes"}
    if method not in ("mv", "glad"):  # a vote learns nothing; GLAD may call these tasks hard instead
        assert {answers.labels[one] for one in found.best[14:]} == {"yes"}


def test_golden_labels_that_nobody_was_asked_or_that_are_none_are_left_out() -> None:
    answers = answers_of(["a", "b"], ["w", "w"], ["x", "y"])
    assert golden_of(answers, {"a": "x", "b": "never", "c": "x"}).tolist() == [0, UNKNOWN]


@pytest.mark.parametrize("method", ["mv", "zc", "ds", "lfc", "ibcc", "cvb", "pm", "catd", "glad"])
def test_the_order_of_rows_changes_nothing(method: str) -> None:
    answers, _, _ = crowd(tasks=50)
    frame = pd.DataFrame(
        {
            "task": np.array(answers.tasks)[answers.task],
            "worker": np.array(answers.workers)[answers.worker],
            "label": np.array(answers.labels)[answers.label],
        }
    )
    made = METHODS[method]()
    first, other = made.fit_predict_proba(frame), made.fit_predict_proba(frame.sample(frac=1, random_state=1))
    assert other.loc[first.index, first.columns].to_numpy() == pytest.approx(first.to_numpy(), abs=2e-3)


def test_tables_go_in_and_come_out_as_users_of_crowd_kit_know_them() -> None:
    frame = pd.DataFrame(
        [("a", 1, "cat"), ("a", 2, "cat"), ("a", 3, "dog"), ("b", 1, "dog"), ("b", 2, "dog")],
        columns=["task", "worker", "label"],
    )
    found = METHODS["mv"]().fit_predict(frame)
    assert found.to_dict() == {"a": "cat", "b": "dog"}
    assert found.name == "agg_label"
    assert found.index.name == "task"
    assert METHODS["mv"]().fit_predict_proba(frame).loc["a"].to_dict() == pytest.approx(
        {"cat": 2 / 3, "dog": 1 / 3}
    )
    assert METHODS["mv"]().fit_predict(frame, golden={"a": "dog"})["a"] == "dog"


def test_of_repeated_answers_the_first_counts_and_ties_fall_to_the_first_label() -> None:
    answers = answers_of(["a", "a", "a", "b", "b"], ["w", "w", "v", "v", "w"], ["10", "9", "9", "9", "10"])
    assert answers.repeated == 1
    assert list(answers.labels) == ["9", "10"]
    found = METHODS["mv"]().infer(answers)
    assert [answers.labels[one] for one in found.best] == ["9", "9"]


@pytest.mark.parametrize("column", ["task", "worker", "label"])
def test_a_row_that_lacks_something_is_one_line(column: str) -> None:
    frame = pd.DataFrame({"task": ["a", "b"], "worker": ["v", "w"], "label": ["x", "y"]})
    frame[column] = [frame[column][0], None]
    with pytest.raises(BadInput, match=f"^answers: 1 of 2 rows have no {column}; leave them out$"):
        METHODS["mv"]().fit_predict(frame)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["10", "2", "-1.5"], ["-1.5", "2", "10"]),
        (["10", "nan", "2"], ["10", "2", "nan"]),
        (["inf", "2", "10"], ["10", "2", "inf"]),
        (["b", "10", "2"], ["10", "2", "b"]),
    ],
)
def test_labels_have_one_order_whatever_that_of_the_rows(labels: list[str], found: list[str]) -> None:
    assert all(in_order(order) == found for order in permutations(labels))


def test_one_worker_without_a_fault_does_not_outvote_all_others() -> None:
    """Without a floor PM's weight of such a worker is unbounded: 0.395 on a set where a vote has 0.777."""
    rows = [(f"t{task}", f"w{worker}", "x") for task in range(30) for worker in range(4)]
    rows += [(f"u{task}", f"w{worker}", "y" if worker else "x") for task in range(8) for worker in range(4)]
    rows += [("u0", "lucky", "x"), ("t0", "lucky", "x")]
    answers = answers_of(*zip(*rows, strict=True))
    for method in (Pm(), Catd()):
        found = method.infer(answers)
        assert answers.labels[found.best[answers.tasks.index("u0")]] == "y"


def test_confusion_under_a_posterior_counts_expected_answers() -> None:
    answers = answers_of(["a", "b"], ["w", "w"], ["x", "y"])
    found = confusion_of(answers, np.array([[0.75, 0.25], [0.5, 0.5]]))
    assert found[0] == pytest.approx(np.array([[0.75 / 1.25, 0.5 / 1.25], [0.25 / 0.75, 0.5 / 0.75]]))


def test_too_many_labels_for_confusion_matrices_is_one_line() -> None:
    many = [str(one) for one in range(15_000)]
    with pytest.raises(BadInput, match="take a method without them"):
        DawidSkene().infer(answers_of(many, ["w"] * len(many), many))
