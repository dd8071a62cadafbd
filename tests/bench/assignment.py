"""Online assignment on replayed answers: how many answers it takes to be as right as with all of them.

    python -m tests.bench.assignment [--sets dog] [--seeds 10] [--out runs/bench-assignment.jsonl] [--page tests/bench/assignment.md]

Needs shared/data/crowd. A worker arrives, in proportion to the recorded answers of his that are left; a strategy chooses five of the
tasks that he answered in the recording and has not been asked here; the recorded answers are revealed. So a strategy can choose the task
but not a pair that was never recorded: what it saves is a lower bound. Where several are waiting, so many arrive at once, and the one is asked
whose answers to the tasks that the strategy chooses are expected to tell most (`--waiting` of `sluice crowd annotate`); the others
leave and may come again. After every answer the task's posterior is
brought up to date by the worker's confusion matrix; after every hundredth of all answers everything is inferred anew (`--method`), and
accuracy is taken.

Full accuracy is that of the same inference with all answers. "Reached at" is the first share of the answers at which the mean accuracy
over seeds, itself averaged with its two neighbours, is full accuracy less what the column allows; the spread is of the single seeds'
shares. With a stop rule a task is closed when its label is as likely as tau and it has at least so many answers; the share spent and the accuracy
are those when nothing is open. The method, tau and the least were chosen on duck_bluebird and D_Product (`--tune`), not on the sets shown;
so was how many wait (1, 3, 8), and by what the one is chosen, there and on 1,000 tasks each of S_Adult and S_Rel.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from tasks.crowd.answers import Answers, answers_of
from tasks.crowd.assign import STRATEGIES, choose, closed, information, mean_confusion
from tasks.crowd.read import known_labels, read_table
from tasks.crowd.truth.inferred import Inferred, TruthInference, quality_of, softmax
from tasks.crowd.truth.methods import METHODS
from tasks.run.seeds import generator
from tasks.storage.tables import write_text
from tests.bench.markdown import table
from tests.bench.truth_runs import DATA

SETS = ("D_PosSent", "dog", "rte")
TUNED = ("duck_bluebird", "D_Product")
HIT = 5  # tasks that a worker is given at once
POINTS = 100  # inferences over all answers
ALLOWED = (0.0, 0.002, 0.005)
METHOD, TAU, LEAST = "ibcc", 0.999, 5
KNOWN = "known workers"
WAITING = (1, 8)
SHOWN = (10, 20, 30, 40, 50, 60, 80, 100)  # per cent, of the curve


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--method", nargs="*", default=[METHOD])
    parser.add_argument("--waiting", type=int, nargs="*", default=list(WAITING))
    parser.add_argument(
        "--earlier", type=float, default=0.0, help="share of the tasks that were answered before"
    )
    parser.add_argument("--tau", type=float, nargs="*", default=[TAU])
    parser.add_argument("--least", type=int, nargs="*", default=[LEAST])
    parser.add_argument("--tune", action="store_true", help="the grid of the two, on the sets for that")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-assignment.jsonl"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(argv)
    if options.tune:
        options.sets, options.strategies = list(TUNED), ["qasca"]
        options.method, options.tau, options.least = ["ds", "lfc", "ibcc"], [0.95, 0.99, 0.999], [2, 3, 5]
    found = {row["key"]: row for row in _rows(options.out)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        answers, truth = load(name)
        stops = [None, *map(list, product(options.tau, options.least))]
        cases = product(options.method, stops, options.waiting, options.strategies, range(options.seeds))
        for method, stop, waiting, strategy, seed in cases:
            key = key_of(options, name, method, stop, waiting, strategy, seed)
            if key not in found:
                case = (strategy, method, stop, waiting, options.earlier, seed)
                found[key] = {"key": key, **replay(answers, truth, *case)}
                with options.out.open("a") as file:
                    file.write(json.dumps(found[key]) + "\n")
        print(f"{name}: done", flush=True)
    text = page(found, options)
    print(text)
    if options.page:
        write_text(options.page, text)


def key_of(
    options: argparse.Namespace,
    name: str,
    method: str,
    stop: list[float] | None,
    waiting: int,
    strategy: str,
    seed: int,
) -> str:
    after = f" after {options.earlier:g}" if options.earlier else ""
    return f"{name} {method} {stop} {strategy}{f' of {waiting}' if waiting > 1 else ''}{after} {seed}"


def load(name: str) -> tuple[Answers, np.ndarray]:
    """Recorded answers, and the right label of each task, -1 where it is not known."""
    answers = answers_of(
        *read_table(str(DATA / name / "answers.csv"), ["task", "worker", "label"], "").columns
    )
    truth = known_labels(str(DATA / name / "truth.csv"), "task", "--truth")
    code = {label: number for number, label in enumerate(answers.labels)}
    return answers, np.array([code.get(truth.get(task, ""), -1) for task in answers.tasks])


def replay(
    answers: Answers,
    truth: np.ndarray,
    strategy: str,
    method: str,
    stop: list[float] | None,
    waiting: int,
    earlier: float,
    seed: int,
) -> dict[str, Any]:
    """One campaign. Returns full accuracy, the curve (shares and accuracies), and where it ended."""
    random = generator(seed, "replay", strategy)
    inference = _Known(answers) if method == KNOWN else METHODS[method]()
    before = generator(seed, "earlier").permutation(len(answers.tasks))[: round(earlier * len(answers.tasks))]
    judged = truth.copy()
    judged[before] = -1
    full = _accuracy(inference.infer(answers), judged)
    campaign = _Campaign(answers, inference, before)
    paid = int(campaign.left.sum())
    every, due = max(1, paid // POINTS), 0
    shares, accuracies = [], []
    while True:
        if campaign.spent >= due:
            campaign.infer()
            shares.append(campaign.spent / paid)
            accuracies.append(_accuracy(campaign.found, judged))
            due = campaign.spent + every
        if not campaign.ask(strategy, stop, waiting, random):
            break
    campaign.infer()
    return {
        "full": full,
        "shares": [*shares, campaign.spent / paid],
        "accuracies": [*accuracies, _accuracy(campaign.found, judged)],
    }


class _Known(TruthInference):
    """Workers are known beforehand, by all of their answers: what is left to be found out is the tasks' labels."""

    def __init__(self, answers: Answers) -> None:
        found = METHODS[METHOD]().infer(answers)
        assert found.confusion is not None
        self.confusion, self.share = found.confusion, found.posterior.mean(axis=0)

    def infer(self, answers: Answers, golden: np.ndarray | None = None) -> Inferred:
        given = np.log(self.confusion).transpose(0, 2, 1).reshape(-1, len(self.share))
        posterior = softmax(np.log(self.share) + answers.by_task @ given)
        return Inferred(posterior, quality_of(answers, posterior), confusion=self.confusion)


class _Campaign:
    """What has been revealed of the recorded answers, and what it says.

    Args:
        before: tasks all of whose answers are known from the start.
    """

    def __init__(self, answers: Answers, method: TruthInference, before: np.ndarray) -> None:
        self.answers, self.method = answers, method
        self.before = np.isin(np.arange(len(answers.tasks)), before)
        self.revealed = self.before[answers.task]
        self.answered = np.where(self.before, answers.per_task, 0)
        self.left = np.bincount(answers.worker[~self.revealed], minlength=len(answers.workers)).astype(float)
        order = np.lexsort((answers.task, answers.worker))
        self.mine = np.split(order, np.cumsum(answers.per_worker)[:-1])  # rows of each worker's answers
        self.spent = 0

    def infer(self) -> None:
        """Everything anew, by what is revealed."""
        labels = len(self.answers.labels)
        if not self.revealed.any():
            even = np.full((len(self.answers.tasks), labels), 1 / labels)
            matrices = np.full((len(self.answers.workers), labels, labels), 0.3 / max(1, labels - 1))
            matrices[:, np.arange(labels), np.arange(labels)] = 0.7
            self.found = Inferred(even, np.full(len(matrices), 0.7), confusion=matrices)
            self.confusion = matrices
        else:
            self.found = self.method.infer(self.answers.take(self.revealed))
            assert self.found.confusion is not None
            seen = np.bincount(self.answers.worker[self.revealed], minlength=len(self.left))
            self.confusion = self.found.confusion.copy()
            self.confusion[seen == 0] = mean_confusion(self.found.confusion, seen)
        self.posterior = self.found.posterior.copy()

    def ask(self, strategy: str, stop: list[float] | None, waiting: int, random: np.random.Generator) -> bool:
        """One worker's visit; False where nothing can be asked any more."""
        tau, least = stop or (2.0, 1)
        done = closed(self.posterior, self.answered, tau, 10**9, int(least)) | self.before
        if stop:
            self.left = np.bincount(
                self.answers.worker[~self.revealed & ~done[self.answers.task]], minlength=len(self.left)
            ).astype(float)
        present = int(np.count_nonzero(self.left))
        if not present:
            return False
        come = random.choice(
            len(self.left), min(waiting, present), replace=False, p=self.left / self.left.sum()
        )
        visits = [(worker, *self._choice(strategy, worker, done, random)) for worker in come.tolist()]
        worker, rows, _ = max(visits, key=lambda visit: visit[2])
        tasks, confusion = self.answers.task[rows], self.confusion[worker]
        self.posterior[tasks] *= confusion[:, self.answers.label[rows]].T
        self.posterior[tasks] /= self.posterior[tasks].sum(axis=1, keepdims=True)
        self.revealed[rows] = True
        self.answered[tasks] += 1
        self.left[worker] -= len(rows)
        self.spent += len(rows)
        return True

    def _choice(
        self, strategy: str, worker: int, done: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """Rows of the answers that a worker would be asked for, and what each is expected to tell."""
        rows = self.mine[worker]
        rows = rows[~self.revealed[rows] & ~done[self.answers.task[rows]]]
        mine = self.answers.task[rows]
        posterior, confusion = self.posterior[mine], self.confusion[worker]
        every = np.ones(len(rows), dtype=bool)
        picked = choose(strategy, posterior, self.answered[mine], every, confusion, HIT, random)
        return rows[picked], float(information(posterior[picked], confusion).mean())


def _accuracy(found: Inferred, truth: np.ndarray) -> float:
    known = truth >= 0
    return float((found.best[known] == truth[known]).mean())


def reached(shares: np.ndarray, accuracies: np.ndarray, wanted: float) -> float:
    """The first share at which accuracy, averaged with its neighbours, is what is wanted; nan where it never is."""
    smooth = np.convolve(accuracies, np.ones(3) / 3, mode="valid")
    there = np.flatnonzero(smooth >= wanted - 1e-12)
    return float(shares[there[0] + 1]) if len(there) else float("nan")


def page(found: dict[Any, dict[str, Any]], options: argparse.Namespace) -> str:
    assert __doc__ is not None
    parts = ["# Online assignment", __doc__.split("\n\n", 2)[2].strip()]
    after = f", {options.earlier:.0%} of the tasks answered before" if options.earlier else ""
    for name, method in product(options.sets, options.method):
        parts.append(f"## {name}, {method}{after}\n\n" + _set_tables(found, options, name, method))
    return "\n\n".join(parts) + "\n"


def _set_tables(found: dict[Any, dict[str, Any]], options: argparse.Namespace, name: str, method: str) -> str:
    rows, curve, stopped = [], [], []
    full = 0.0
    for waiting, strategy in product(options.waiting, options.strategies):
        runs = [
            found[key_of(options, name, method, None, waiting, strategy, seed)]
            for seed in range(options.seeds)
        ]
        grid = np.linspace(0, 1, POINTS + 1)
        curves = np.array([np.interp(grid, run["shares"], run["accuracies"]) for run in runs])
        full = mean(
            run["full"] for run in runs
        )  # of the tasks that are judged, which are others for each seed
        cells = []
        for less in ALLOWED:
            together = reached(grid, curves.mean(axis=0), full - less)
            single = [reached(grid, one, run["full"] - less) for one, run in zip(curves, runs, strict=True)]
            cells.append(f"{together:.2f} ({_spread(single, 2)})")
        rows.append([str(waiting), strategy, *cells])
        curve.append([str(waiting), strategy, *(f"{curves[:, share].mean():.4f}" for share in SHOWN)])
        for tau, least in product(options.tau, options.least):
            ends = [
                found[key_of(options, name, method, [tau, least], waiting, strategy, seed)]
                for seed in range(options.seeds)
            ]
            spent, right = [end["shares"][-1] for end in ends], [end["accuracies"][-1] for end in ends]
            stopped.append(
                [str(waiting), strategy, f"{tau:g}", str(least), _spread(spent, 3), _spread(right, 4)]
            )
    allowed = ["full accuracy", *(f"less {less:g}" for less in ALLOWED[1:])]
    return "\n\n".join(
        [
            f"Full accuracy {full:.4f}. Reached at, of the mean curve (of single seeds):",
            table(["waiting", "strategy", *allowed], rows),
            "Accuracy at a share of the answers, %:",
            table(["waiting", "strategy", *map(str, SHOWN)], curve),
            "With the stop rule:",
            table(["waiting", "strategy", "tau", "least", "share spent", "accuracy"], stopped),
        ]
    )


def _spread(values: Sequence[float], digits: int) -> str:
    kept = [value for value in values if not np.isnan(value)]
    if not kept:
        return "never"
    never = f", {len(values) - len(kept)} never" if len(kept) < len(values) else ""
    return f"{mean(kept):.{digits}f} ± {stdev(kept) if len(kept) > 1 else 0:.{digits}f}{never}"


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
