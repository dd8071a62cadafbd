"""What another campaign knew of workers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.crowd.answers import answers_of
from tasks.crowd.learn.prior import check_prior, read_prior
from tasks.records import BadInput

ANSWERS = answers_of(["1", "1", "2"], ["x", "new", "x"], ["a", "b", "b"])


def write(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def test_matrices_are_read_as_counts_and_labels_that_are_none_here_are_left_out(tmp_path):
    columns = {
        "worker": ["x", "x", "x", "gone"],
        "truth": ["a", "a", "b", "a"],
        "label": ["a", "b", "z", "a"],
        "probability": [0.75, 0.25, 1, 1],
        "answers": [8, 8, 3, 9],
    }
    name = str(tmp_path / "confusion.parquet")
    pd.DataFrame(columns).to_parquet(name)
    check_prior(name, "--worker-prior")
    found = read_prior(name, ANSWERS, 0.5, "--worker-prior")
    np.testing.assert_allclose(found, [[[3, 1], [0, 0]], np.zeros((2, 2))])


@pytest.mark.parametrize("kind", [int, float, str])
def test_names_that_are_numbers_are_read_as_the_answers_are(tmp_path, kind):
    rows = [(worker, truth, label) for worker in (0, 1) for truth in (0, 1) for label in (0, 1)]
    columns = dict(zip(("worker", "truth", "label"), zip(*rows, strict=True), strict=True))
    name = str(tmp_path / "confusion.parquet")
    pd.DataFrame(columns).astype(kind).assign(probability=0.5, answers=4).to_parquet(name)
    answers = answers_of(["1", "1", "2"], ["0", "1", "0"], ["0", "1", "1"])
    assert (read_prior(name, answers, 1, "--worker-prior") == 2).all()


def test_the_quality_of_a_worker_is_spread_over_the_labels(tmp_path):
    name = write(tmp_path / "workers.csv", worker=["x"], answers=[20], quality=[0.9])
    check_prior(name, "--worker-prior")
    np.testing.assert_allclose(read_prior(name, ANSWERS, 1, "--worker-prior")[0], [[9, 1], [1, 9]])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"worker": ["gone"], "answers": [2], "quality": [0.5]}, "nobody in it"),
        (
            {"worker": ["x"], "answers": ["many"], "quality": [0.5]},
            r"--worker-prior .*workers\.csv:2: answers: many is not a number",
        ),
        ({"worker": ["x"], "answers": [2], "quality": [1.5]}, r"csv:2: quality: 1\.5 is not a number"),
        ({"worker": ["x"], "answers": [-2], "quality": [0.5]}, "-2 is not a number"),
    ],
)
def test_a_prior_that_cannot_be_used_is_one_line(tmp_path, columns, said):
    name = write(tmp_path / "workers.csv", **columns)
    with pytest.raises(BadInput, match=said):
        read_prior(name, ANSWERS, 1, "--worker-prior")


def test_a_prior_without_the_columns_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="quality"):
        check_prior(write(tmp_path / "workers.csv", worker=["x"], answers=[2]), "--worker-prior")
