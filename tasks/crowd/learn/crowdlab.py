"""CROWDLAB (Goh, Tkachenko and Mueller, 2022) by cleanlab, an optional package: answers and a classifier, weighted by what they err."""

from __future__ import annotations

import importlib.util

import numpy as np

from tasks.crowd.learn.network import cross_fitted
from tasks.crowd.learn.problem import Learned, Problem
from tasks.crowd.truth.inferred import vote_shares
from tasks.records import BadInput
from tasks.run.seeds import integer

_LARGEST = 100_000_000  # cells of its table of tasks and workers


def check_cleanlab() -> None:
    """Whether cleanlab is there.

    Raises:
        BadInput: it is not.
    """
    if importlib.util.find_spec("cleanlab") is None:
        raise BadInput("--method crowdlab: needs cleanlab, which is not installed (pip install cleanlab)")


def infer_crowdlab(problem: Problem) -> Learned:
    """Its consensus labels, with its quality score as their probability and the rest spread evenly over other labels.

    Raises:
        BadInput: cleanlab is not there, its table would be too large, or no item has two answers.
    """
    check_cleanlab()
    from cleanlab.multiannotator import get_label_quality_multiannotator

    answers = problem.answers
    tasks, workers, labels = len(answers.tasks), len(answers.workers), len(answers.labels)
    if tasks * workers > _LARGEST:
        raise BadInput(f"--method crowdlab: its table of {tasks:,} items by {workers:,} workers is too large")
    if answers.per_task.max() < 2:
        raise BadInput(
            "--method crowdlab: no item has two answers, and it compares answers; take another method"
        )
    training, seed = problem.trained(tasks), integer(problem.seed, "crowdlab")
    votes = vote_shares(answers)
    hard = np.eye(labels)[votes.argmax(axis=1)]
    said = cross_fitted(problem.answered, hard, problem.folds, seed, training, problem.width)
    table = np.full((tasks, workers), np.nan)
    table[answers.task, answers.worker] = answers.label
    found = get_label_quality_multiannotator(
        table[:, answers.per_worker > 0],
        np.exp(said),
        return_detailed_quality=False,
        return_annotator_stats=False,
        verbose=False,
    )["label_quality"]
    best = found["consensus_label"].to_numpy().astype(np.int64)
    sure = np.clip(found["consensus_quality_score"].to_numpy(float), 1 / labels, 1)
    posterior = np.repeat(((1 - sure) / max(1, labels - 1))[:, None], labels, axis=1)
    posterior[np.arange(tasks), best] = sure
    return Learned(posterior)
