"""What truth inference is measured on, the published figures, and one measurement of a method here or of crowd-kit's."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.crowd.answers import answers_of, numbers_of
from tasks.crowd.read import known_labels, read_table
from tasks.crowd.truth.dawid_skene import DawidSkene
from tasks.crowd.truth.glad import Glad
from tasks.crowd.truth.inferred import TruthInference
from tasks.crowd.truth.mace import Mace
from tasks.crowd.truth.methods import METHODS
from tasks.crowd.truth.numeric import NUMBER_METHODS
from tasks.crowd.truth.weighted import Catd

DATA = Path(__file__).resolve().parents[3] / "shared/data/crowd"
SETS = ("D_Product", "D_PosSent", "S_Rel", "S_Adult", "duck_bluebird", "dog", "rte")
NUMBERS = "N_Emotion"
LARGE = "simulated"  # 5 million answers
PEER = {
    "mv": "MajorityVote",
    "ds": "DawidSkene",
    "one-coin D&S": "OneCoinDawidSkene",
    "glad": "GLAD",
    "mace": "MACE",
    "wawa": "Wawa",
    "zbs": "ZeroBasedSkill",
    "mmsr": "MMSR",
    "mace, names in order": "MACE",
}
REPEATED = ", repeated rows"  # behind a peer's method: with all answers of a worker to a task; in no table
SEEDS = 3  # of what is random
PUBLISHED = {  # accuracy, F1
    ("D_Product", "zc"): (0.92796, 0.63587),
    ("D_Product", "glad"): (0.92231, 0.60173),
    ("D_Product", "ds"): (0.93662, 0.71590),
    ("D_Product", "lfc"): (0.93734, 0.71483),
    ("D_Product", "catd"): (0.92664, 0.65922),
    ("D_Product", "pm"): (0.89814, 0.59337),
    ("duck_bluebird", "zc"): (0.7222, None),
    ("duck_bluebird", "glad"): (0.7685, None),
    ("duck_bluebird", "ds"): (0.8796, None),
    ("duck_bluebird", "lfc"): (0.8981, None),
    ("dog", "zc"): (0.8302, None),
    ("dog", "glad"): (0.8352, None),
    ("dog", "ds"): (0.8426, None),
    ("dog", "catd"): (0.8191, None),
    ("dog", "pm"): (0.8178, None),
    ("rte", "zc"): (0.9250, None),
    ("rte", "ds"): (0.9275, None),
    (NUMBERS, "mean"): (12.022, 17.835),
    (NUMBERS, "median"): (13.529, 21.264),
    (NUMBERS, "lfc_n"): (12.195, 18.969),
}
# As the authors' release computes them: LFC has no prior there and is D&S from vote shares; both stop after 20 steps. And D&S that
# stops about where crowd-kit's does, long before it settles.
AS_RELEASED: dict[str, Callable[[], TruthInference]] = {
    "ds, 20 steps from .7": partial(DawidSkene, start=0.7, most=20),
    "lfc, 20 steps, no prior": partial(DawidSkene, most=20),
    "ds, 80 steps": partial(DawidSkene, most=80, plain=80),
    "glad, next to no prior": partial(Glad, deviation=3.0),
    "catd, next to no floor": partial(Catd, floor=1e-3),
}
Key = tuple[str, str, str, int]


def planned(sets: Sequence[str]) -> Iterator[Key]:
    """What is measured, in order."""
    for name in sets:
        ours = NUMBER_METHODS if name == NUMBERS else METHODS
        for method in ours:
            for seed in range(SEEDS if method == "mace" and name != LARGE else 1):
                yield name, "sluice", method, seed
        for method in AS_RELEASED if name in SETS else ():
            yield name, "sluice", method, 0
        for method in PEER if name in SETS else ():
            yield name, "crowd-kit", method, 0


def run(key: Key) -> dict[str, Any]:
    """One measurement in a process of its own, with one thread."""
    command = [sys.executable, "-m", "tests.bench.truth", "--one", *map(str, key)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
    head = dict(zip(("set", "library", "method", "seed"), key, strict=True))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return {**head, "failed": last[:160]}
    return {**head, **json.loads(done.stdout.strip().splitlines()[-1])}


def measure(name: str, library: str, method: str, seed: int) -> dict[str, Any]:
    """Fit one method to one set."""
    if name == LARGE:
        return _fitted(lambda: METHODS[method]().infer(simulated()[0]), after=_share_right)
    path = str(DATA / name / "answers.csv")
    columns = read_table(path, ["task", "worker", "label"], "--answers").columns
    truth = known_labels(str(DATA / name / "truth.csv"), "task", "--truth")
    if name == NUMBERS:
        numbers = numbers_of(*columns)
        return _fitted(
            lambda: NUMBER_METHODS[method]().infer(numbers),
            after=lambda found: _errors(numbers.tasks, found.value, truth),
        )
    if library == "crowd-kit":
        return _peer(columns, method, seed, truth)
    answers = answers_of(*columns)
    made = Mace(seed=seed) if method == "mace" else (METHODS | AS_RELEASED)[method]()
    labels = np.asarray(answers.labels, dtype=object)
    return _fitted(
        lambda: made.infer(answers), after=lambda found: _right(answers.tasks, labels[found.best], truth)
    )


def simulated(answers: int = 5_000_000, seed: int = 0) -> tuple[Any, np.ndarray]:
    """Answers of 20,000 workers to 1,000,000 tasks of four labels, and the truth: each worker has a confusion matrix drawn from a
    Dirichlet distribution with a right answer as likely as 3 : 1 : 1 : 1, and answers in proportion to a log-normal weight."""
    from tasks.crowd.answers import Answers

    random = np.random.default_rng(seed)
    tasks, workers, labels = answers // 5, 20_000, 4
    truth = random.choice(labels, tasks, p=[0.4, 0.3, 0.2, 0.1])
    confusion = random.dirichlet(np.ones(labels), (workers, labels))
    confusion = (confusion + 1.5 * np.eye(labels)) / 2.5
    weight = random.lognormal(0, 1, workers)
    task = np.repeat(np.arange(tasks), 5)
    worker = random.choice(workers, len(task), p=weight / weight.sum())
    _, first = np.unique(task * workers + worker, return_index=True)
    task, worker = task[first], worker[first]
    draw = random.random(len(task))[:, None]
    label = (confusion[worker, truth[task]].cumsum(axis=1) < draw).sum(axis=1).clip(max=labels - 1)
    names = range(tasks), range(workers), [str(one) for one in range(labels)]
    return Answers(task, worker, label.astype(np.int64), *names), truth  # type: ignore[arg-type]


def _share_right(found: Any) -> dict[str, Any]:
    return {"accuracy": float((found.best == simulated()[1]).mean()), "iterations": found.iterations}


def _fitted(fit: Callable[[], Any], after: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    before, began = _peak(), time.process_time()
    found = fit()
    taken, grown = time.process_time() - began, _peak() - before
    return {"seconds": taken, "megabytes": grown, **after(found)}


def _peer(columns: list[list[str]], method: str, seed: int, truth: dict[str, str]) -> dict[str, Any]:
    import crowdkit.aggregation as peer

    frame = pd.DataFrame(dict(zip(("task", "worker", "label"), columns, strict=True)))
    if method.endswith(REPEATED):
        method = method.removesuffix(REPEATED)
    else:
        frame = frame.drop_duplicates(["task", "worker"])
    if method == "mmsr":  # takes no names
        frame["label"] = frame["label"].astype(str)
    labels = pd.unique(frame["label"])
    if method.endswith("names in order"):
        # crowd-kit's MACE counts guesses by sorted names and uses them by first appearance: here both are the same.
        frame["worker"] = [f"{code:07d}" for code in pd.factorize(frame["worker"])[0]]
        frame["label"] = [f"{code:07d}" for code in pd.factorize(frame["label"])[0]]
    given = {"random_state": seed} if PEER[method] == "MACE" else {}
    made = getattr(peer, PEER[method])(**given)
    return _fitted(
        lambda: made.fit_predict(frame),
        after=lambda found: {
            **_right(found.index, _named(found.to_numpy(), method, labels), truth),
            "steps": len(getattr(made, "loss_history_", ())),
        },
    )


def _named(found: np.ndarray, method: str, labels: Any) -> np.ndarray:
    return np.asarray(labels)[found.astype(int)] if method.endswith("names in order") else found


def _right(tasks: Sequence[str], labels: np.ndarray, truth: dict[str, str]) -> dict[str, Any]:
    from sklearn.metrics import f1_score

    found = dict(zip(tasks, labels, strict=True))
    known = [task for task in truth if task in found]
    right = np.array([truth[task] for task in known])
    said = np.array([str(found[task]) for task in known])
    two = set(right) <= {"0", "1"}
    f1 = float(f1_score(right == "1", said == "1")) if two else None
    return {"accuracy": float((right == said).mean()), "f1": f1}


def _errors(tasks: Sequence[str], values: np.ndarray, truth: dict[str, str]) -> dict[str, Any]:
    found = dict(zip(tasks, values.tolist(), strict=True))
    away = np.array([found[task] - float(value) for task, value in truth.items()])
    return {"mae": float(np.abs(away).mean()), "rmse": float(np.sqrt((away**2).mean()))}


def _peak() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def key_of(row: dict[str, Any]) -> Key:
    return row["set"], row["library"], row["method"], row["seed"]


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
