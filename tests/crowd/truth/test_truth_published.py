"""Truth inference over labels: the figures that the survey's authors released ("Truth Inference in Crowdsourcing", VLDB 2017)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.crowd.answers import answers_of
from tasks.crowd.read import known_labels, read_table
from tasks.crowd.truth.dawid_skene import DawidSkene
from tasks.crowd.truth.inferred import TruthInference
from tasks.crowd.truth.methods import METHODS
from tasks.crowd.truth.weighted import Catd

SHARED = Path(__file__).resolve().parents[4] / "shared/data/crowd"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/data/crowd")


def accuracy_of(method: TruthInference, name: str) -> float:
    path = SHARED / name
    answers = answers_of(*read_table(str(path / "answers.csv"), ["task", "worker", "label"], "").columns)
    truth = known_labels(str(path / "truth.csv"), "task", "--truth")
    found = dict(zip(answers.tasks, method.infer(answers).best, strict=True))
    return float(np.mean([answers.labels[found[task]] == label for task, label in truth.items()]))


@pytest.mark.parametrize(
    ("name", "method", "accuracy", "slack"),
    [
        ("D_Product", "zc", 0.92796, 1e-5),
        ("D_Product", "pm", 0.89814, 1e-5),
        ("D_Product", "catd", 0.92664, 0.002),
        ("dog", "zc", 0.8302, 1e-4),
        ("dog", "ds", 0.8426, 1e-4),
        ("rte", "zc", 0.9250, 1e-4),
        ("rte", "ds", 0.9275, 1e-4),
        ("duck_bluebird", "zc", 0.7222, 1e-4),
    ],
)
def test_published_accuracies_come_out(name: str, method: str, accuracy: float, slack: float) -> None:
    assert accuracy_of(METHODS[method](), name) == pytest.approx(accuracy, abs=slack)


def test_the_published_figure_of_lfc_is_dawid_skene_after_twenty_steps() -> None:
    assert accuracy_of(DawidSkene(most=20), "D_Product") == pytest.approx(0.93734, abs=1e-5)


def test_the_published_figure_of_catd_has_next_to_no_floor_of_errors() -> None:
    assert accuracy_of(Catd(floor=1e-3), "D_Product") == pytest.approx(0.92664, abs=1e-5)
