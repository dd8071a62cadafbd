"""When a label is sure: probabilities to stop by, on parts of recorded answers, and in whole campaigns on replayed ones.

    python -m tests.bench.annotate [--seeds 10] [--page tests/bench/annotate.md]

Needs shared/data/crowd. First table: of every task so many answers are drawn; "sure" is the share of tasks whose label has a probability of .95
or more, "of these right" how many of those labels are, by the method as it is and with every answer weighed by its worker's other answers
alone (tasks/crowd/annotate/belief.py, what `sluice crowd annotate` stops by). Second table: campaigns that end when every task is sure or has as
many answers as it may have; workers arrive in proportion to what is left of their recorded answers. Mean ± standard deviation over seeds.

That D&S is the default was decided on duck_bluebird, dog, rte and D_PosSent; D_Product and S_Rel were not looked at before. The weights of the
crowd's matrix were not tuned.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest import mock

import numpy as np

from tasks.crowd.annotate import belief, rounds
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.answers import Answers, answers_of, codes_of
from tasks.crowd.read import known_labels, read_table
from tasks.crowd.truth.collapsed import leave_one_out
from tasks.crowd.truth.methods import METHODS
from tasks.run.seeds import generator
from tasks.storage.tables import write_text
from tests.bench.markdown import table
from tests.bench.truth_runs import DATA

SETS = ("duck_bluebird", "dog", "rte", "D_PosSent", "D_Product", "S_Rel")
CAMPAIGNS = {"duck_bluebird": 15, "rte": 8}  # answers of a task, at most
SURE = 0.95


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument(
        "--methods", nargs="*", default=["ds", "ibcc", "zc", "cvb"], help="of the first table"
    )
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(argv)
    rows = []
    for name in options.sets:
        answers, truth = _load(name)
        for each, method in product((2, 3, 5), options.methods):
            if each > answers.per_task.max():
                continue
            seeds = range(options.seeds)
            found = np.array([_judged(answers, truth, each, method, seed) for seed in seeds])
            rows.append([name, method, str(each), *(_spread(found[:, place].tolist()) for place in range(6))])
            print(rows[-1], flush=True)
    played = []
    for (name, most), strategy, cautious in product(CAMPAIGNS.items(), ("qasca", "random"), (False, True)):
        if name not in options.sets:
            continue
        runs = np.array([_campaign(name, most, strategy, cautious, seed) for seed in range(options.seeds)])
        played.append(
            [
                name,
                strategy,
                "other answers alone" if cautious else "as D&S has it",
                _spread(runs[:, 0].tolist(), 0),
                _spread(runs[:, 1].tolist()),
                _spread(runs[:, 2].tolist()),
            ]
        )
        print(played[-1], flush=True)
    text = _page(rows, played)
    if options.page:
        write_text(options.page, text)
    print(text)


def _judged(answers: Answers, truth: np.ndarray, each: int, method: str, seed: int) -> list[float]:
    """Accuracy, share of sure labels, share of these that are right: by the method, and with other answers alone."""
    random = generator(seed, "part")
    order = random.permutation(len(answers))
    order = order[np.argsort(answers.task[order], kind="stable")]
    first = np.concatenate([[0], np.cumsum(answers.per_task)[:-1]])
    part = answers.take(order[np.arange(len(answers)) - first[answers.task[order]] < each])
    plain = METHODS[method]().infer(part).posterior
    cautious = leave_one_out(part, plain)
    known, figures = truth >= 0, []
    for posterior in (plain, cautious):
        right = (posterior.argmax(axis=1) == truth)[known]
        sure = posterior.max(axis=1)[known] >= SURE
        figures += [right.mean(), sure.mean(), right[sure].mean() if sure.any() else np.nan]
    return [float(figures[place]) for place in (0, 3, 1, 4, 2, 5)]


def _campaign(name: str, most: int, strategy: str, cautious: bool, seed: int) -> list[float]:
    """Answers spent, accuracy, and mean confidence of a whole campaign."""
    with tempfile.TemporaryDirectory() as folder, _stopped_by(cautious):
        truth = known_labels(str(DATA / name / "truth.csv"), "task", "--truth")
        items = Path(folder) / "items.csv"
        with items.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["id", "text"], *([task, task] for task in truth)])
        settings = AnnotateSettings(
            items=str(items),
            labels=sorted(set(truth.values())),
            truth=str(DATA / name / "truth.csv"),
            annotators="replay",
            answers=[str(DATA / name / "answers.csv")],
            strategy=strategy,  # type: ignore[arg-type]
            max_answers=most,
            seed=seed,
            runs_dir=folder,
            run="r",
        )
        while plan := rounds.next_round(Path(folder), settings):
            rounds.collect(Path(folder), settings, plan)
        last = rounds.played(Path(folder))[-1]
        return [last["answers"], last["accuracy"], last["confidence"]]


@contextmanager
def _stopped_by(cautious: bool) -> Iterator[None]:
    """Probabilities as they are used, or as the method has them."""

    def as_it_is(answers: Answers, posterior: np.ndarray, unseen: float = 0.0) -> np.ndarray:
        return posterior

    if cautious:
        yield
        return
    with mock.patch.object(belief, "leave_one_out", as_it_is):
        yield


def _load(name: str) -> tuple[Answers, np.ndarray]:
    columns = read_table(str(DATA / name / "answers.csv"), ["task", "worker", "label"], "--answers").columns
    answers = answers_of(*columns)
    truth = known_labels(str(DATA / name / "truth.csv"), "task", "--truth")
    return answers, codes_of([truth.get(task, "") for task in answers.tasks], answers.labels)


def _page(rows: list[list[str]], played: list[list[str]]) -> str:
    head = [
        "set",
        "method",
        "answers a task",
        "accuracy",
        "other answers alone",
        "sure",
        "other answers alone",
    ]
    head += ["of these right", "other answers alone"]
    campaigns = ["set", "strategy", "stopped by", "answers spent", "accuracy", "mean confidence"]
    said = (__doc__ or "").strip().split("\n", 1)
    return f"# {said[0]}\n\n{said[1].strip()}\n\n{table(head, rows)}\n\n{table(campaigns, played)}\n"


def _spread(values: Sequence[Any], digits: int = 3) -> str:
    """Mean and standard deviation of what there is: of no label that is sure none is right or wrong."""
    there = [float(value) for value in values if np.isfinite(value)]
    if len(there) < 2:
        return "–"
    return f"{mean(there):,.{digits}f} ± {stdev(there):.{digits}f}"


if __name__ == "__main__":
    main()
