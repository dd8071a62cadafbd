"""Truth inference over numbers: against plain loops, and the published figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.crowd.answers import Numbers, numbers_of
from tasks.crowd.read import known_labels, read_table
from tasks.crowd.truth.numeric import NUMBER_METHODS, LfcNumbers, _medians, golden_values
from tasks.records import BadInput

SHARED = Path(__file__).resolve().parents[4] / "shared/data/crowd/N_Emotion"


def judgements(tasks: int = 60, workers: int = 10, seed: int = 0) -> tuple[Numbers, np.ndarray]:
    """Simulated numbers of workers with deviations from 0.2 to 5, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(20, 10, tasks)
    deviation = np.geomspace(0.2, 5, workers)
    rows = [
        (task, worker, truth[task] + random.normal(0, deviation[worker]))
        for task in range(tasks)
        for worker in random.choice(workers, 6, replace=False)
    ]
    return numbers_of(*zip(*rows, strict=True)), truth


def test_precision_weighting_is_that_of_plain_loops() -> None:
    answers, _ = judgements()
    value = [float(answers.value[answers.task == task].mean()) for task in range(60)]
    for _ in range(3):
        weight = [
            1
            / np.mean(
                [
                    (x - value[t]) ** 2
                    for t, w, x in zip(answers.task, answers.worker, answers.value, strict=True)
                    if w == worker
                ]
            )
            for worker in range(len(answers.workers))
        ]
        value = [
            float(
                np.average(
                    answers.value[answers.task == task],
                    weights=[weight[w] for w in answers.worker[answers.task == task]],
                )
            )
            for task in range(60)
        ]
    assert LfcNumbers(most=3, floor=0.0).infer(answers).value == pytest.approx(np.array(value))


def test_weighted_medians_have_half_of_the_weight_on_either_side() -> None:
    random = np.random.default_rng(1)
    answers, _ = judgements()
    weight = random.random(len(answers.workers))
    for task, middle in enumerate(_medians(answers, weight)):
        own = answers.task == task
        each = weight[answers.worker[own]]
        assert each[answers.value[own] < middle - 1e-9].sum() <= each.sum() / 2 + 1e-9
        assert each[answers.value[own] > middle + 1e-9].sum() <= each.sum() / 2 + 1e-9


def test_medians_of_equal_weights_are_numpys() -> None:
    answers, _ = judgements(seed=2)
    expected = [np.median(answers.value[answers.task == task]) for task in range(60)]
    assert NUMBER_METHODS["median"]().infer(answers).value == pytest.approx(np.array(expected))


def test_a_median_is_of_the_tasks_own_answers_however_little_their_workers_weigh() -> None:
    answers = numbers_of(["a", "b", "b", "c"], ["much", "little", "least", "least"], [100, 5, 7, 8])
    weight = np.array([{"much": 1e6, "little": 1e-7, "least": 1e-7}[name] for name in answers.workers])
    assert _medians(answers, weight).tolist() == [100, 6, 8]


@pytest.mark.parametrize("method", ["lfc_n", "pm", "catd"])
def test_those_that_weigh_workers_are_nearer_where_workers_differ(method: str) -> None:
    answers, truth = judgements()
    found, plain = NUMBER_METHODS[method]().infer(answers), NUMBER_METHODS["mean"]().infer(answers)
    assert np.abs(found.value - truth).mean() < 0.7 * np.abs(plain.value - truth).mean()
    names = np.array(answers.workers).astype(int)
    assert np.corrcoef(found.quality, np.geomspace(0.2, 5, 10)[names])[0, 1] > 0.95


@pytest.mark.parametrize("method", [*NUMBER_METHODS])
def test_golden_values_stay(method: str) -> None:
    answers, _truth = judgements()
    golden = golden_values(answers, {answers.tasks[0]: 999.0, "nobody's": 1.0})
    found = NUMBER_METHODS[method]().infer(answers, golden)
    assert found.value[0] == 999.0
    assert np.isnan(found.error[0])
    assert np.isfinite(found.error[1:]).all()


def test_standard_errors_cover_the_truth_of_unbiased_workers() -> None:
    answers, truth = judgements(tasks=400)
    found = NUMBER_METHODS["mean"]().infer(answers)
    inside = np.abs(found.value - truth) < 1.96 * found.error
    assert 0.9 < inside.mean() < 0.99


def test_all_answers_alike_or_one_each_do_not_divide_by_zero() -> None:
    for method in NUMBER_METHODS.values():
        alike = method().infer(numbers_of(["a", "a", "b"], ["v", "w", "v"], [3, 3, 4]))
        assert alike.value.tolist() == [3, 4]
        assert np.isfinite(alike.error).all()


def test_tables_go_in_and_come_out() -> None:
    frame = pd.DataFrame([("a", 1, "2"), ("a", 2, "4"), ("b", 1, "6")], columns=["task", "worker", "label"])
    assert NUMBER_METHODS["mean"]().fit_predict(frame).to_dict() == {"a": 3.0, "b": 6.0}
    with pytest.raises(BadInput, match="'x': not a number"):
        numbers_of(["a"], ["w"], ["x"])


@pytest.mark.parametrize(
    ("method", "mae", "rmse"),
    [("mean", 12.022, 17.835), ("median", 13.529, 21.264), ("lfc_n", 12.195, 18.969)],
)
def test_published_errors_come_out(method: str, mae: float, rmse: float) -> None:
    if not SHARED.is_dir():
        pytest.skip("needs shared/data/crowd")
    answers = numbers_of(*read_table(str(SHARED / "answers.csv"), ["task", "worker", "label"], "").columns)
    truth = known_labels(str(SHARED / "truth.csv"), "task", "--truth")
    found = dict(zip(answers.tasks, NUMBER_METHODS[method]().infer(answers).value, strict=True))
    away = np.array([found[task] - float(value) for task, value in truth.items()])
    assert np.abs(away).mean() == pytest.approx(mae, abs=0.002)
    assert np.sqrt((away**2).mean()) == pytest.approx(rmse, abs=0.002)
