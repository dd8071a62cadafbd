"""Truth inference beside crowd-kit and the published figures: accuracy, CPU time and memory.

    python -m tests.bench.truth [--sets dog] [--out runs/bench-truth.jsonl] [--page tests/bench/truth.md]

Needs shared/data/crowd, and crowd-kit for the peer's rows. Every method runs in a process of its own; time is CPU time of fitting alone,
memory what the process grew by. MACE has three seeds here and one there (whose restarts are all alike); everything else is deterministic. Published figures are those of the
survey's authors ("Truth Inference in Crowdsourcing", VLDB 2017), from their release. Golden tasks are not given to anybody.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import cleandoc
from pathlib import Path
from statistics import mean, stdev
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
from tasks.run.tables import write_text
from tests.bench.markdown import table

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
# As the authors' release computes them: LFC has no prior there and is D&S from vote shares; both stop after 20 steps.
AS_RELEASED: dict[str, Callable[[], TruthInference]] = {
    "ds, 20 steps from .7": partial(DawidSkene, start=0.7, most=20),
    "lfc, 20 steps, no prior": partial(DawidSkene, most=20),
    "glad, next to no prior": partial(Glad, deviation=3.0),
}
Key = tuple[str, str, str, int]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=[*SETS, NUMBERS, LARGE])
    parser.add_argument("--leave-out", nargs="*", default=[], help="methods, as crowd-kit/mmsr")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-truth.jsonl"))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--one", nargs=4, metavar=("SET", "LIBRARY", "METHOD", "SEED"))
    options = parser.parse_args(argv)
    if options.one:
        name, library, method, seed = options.one
        print(json.dumps(measure(name, library, method, int(seed))))
        return
    found = {key_of(row): row for row in _rows(options.out)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for key in planned(options.sets):
        if key in found or f"{key[1]}/{key[2]}" in options.leave_out:
            continue
        found[key] = run(key)
        with options.out.open("a") as file:
            file.write(json.dumps(found[key]) + "\n")
        print(json.dumps(found[key]), flush=True)
    text = page(found)
    print(text)
    if options.page:
        write_text(options.page, text)


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
        after=lambda found: _right(found.index, _named(found.to_numpy(), method, labels), truth),
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


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def page(found: dict[Key, dict[str, Any]]) -> str:
    """All tables."""
    parts = [__doc__.split("\n\n", 2)[2].strip()]
    parts += [_summary(found)]
    for name in SETS:
        parts.append(f"## {name}\n\n" + _set_table(found, name))
    parts.append(f"## {NUMBERS}\n\n" + _numbers_table(found))
    parts.append(f"## Simulated, 5 million answers\n\n{_large_table(found)}")
    return "# Truth inference\n\n" + "\n\n".join(parts) + "\n"


def _groups(found: dict[Key, dict[str, Any]], name: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    order = list(planned([name]))
    for row in sorted(
        found.values(), key=lambda row: order.index(key_of(row)) if key_of(row) in order else -1
    ):
        if row["set"] == name and key_of(row) in order:
            groups.setdefault((row["library"], row["method"]), []).append(row)
    return groups


def _summary(found: dict[Key, dict[str, Any]]) -> str:
    """The best of both libraries in each set."""
    rows = []
    for name in SETS:
        best: dict[str, tuple[float, str, float]] = {}
        for (library, method), group in _groups(found, name).items():
            values = [row["accuracy"] for row in group if "accuracy" in row]
            if values and method not in AS_RELEASED:
                one = mean(values), method, stdev(values) if len(values) > 1 else 0.0
                best[library] = max(best.get(library, (0.0, "", 0.0)), one)
        if len(best) == 2:
            ours, theirs = best["sluice"], best["crowd-kit"]
            rows.append(
                [
                    name,
                    f"{ours[1]} {ours[0]:.4f}",
                    f"{theirs[1]} {theirs[0]:.4f} ± {theirs[2]:.4f}",
                    f"{ours[0] - theirs[0]:+.4f}",
                ]
            )
    return "## The best of each\n\n" + table(["set", "best here", "best of crowd-kit", "difference"], rows)


def _set_table(found: dict[Key, dict[str, Any]], name: str) -> str:
    rows = []
    for (library, method), group in _groups(found, name).items():
        if "failed" in group[0]:
            rows.append([library, method, "failed: " + group[0]["failed"].partition(":")[0], "", "", "", ""])
            continue
        published = PUBLISHED.get((name, method.partition(",")[0])) if library == "sluice" else None
        rows.append(
            [
                library,
                method,
                _spread([row["accuracy"] for row in group], 5),
                _spread([row["f1"] for row in group], 5) if group[0]["f1"] is not None else "",
                " / ".join(f"{value:g}" for value in published if value is not None) if published else "",
                f"{mean(row['seconds'] for row in group):.2f}",
                f"{max(row['megabytes'] for row in group):,.0f}",
            ]
        )
    return table(["library", "method", "accuracy", "F1", "published", "CPU s", "MB"], rows)


def _numbers_table(found: dict[Key, dict[str, Any]]) -> str:
    rows = [
        [
            library,
            method,
            f"{group[0]['mae']:.3f}",
            f"{group[0]['rmse']:.3f}",
            " / ".join(f"{value:.3f}" for value in PUBLISHED.get((NUMBERS, method), ())),
        ]
        for (library, method), group in _groups(found, NUMBERS).items()
    ]
    return table(["library", "method", "mean absolute error", "root mean square error", "published"], rows)


def _large_table(found: dict[Key, dict[str, Any]]) -> str:
    rows = [
        [
            library,
            method,
            f"{group[0]['accuracy']:.4f}",
            str(group[0]["iterations"]),
            f"{group[0]['seconds']:.1f}",
            f"{group[0]['megabytes']:,.0f}",
        ]
        for (library, method), group in _groups(found, LARGE).items()
        if "accuracy" in group[0]
    ]
    head = ["library", "method", "accuracy", "iterations", "CPU s, with making the answers", "MB"]
    return cleandoc(simulated.__doc__ or "") + "\n\n" + table(head, rows)


def _spread(values: Sequence[float], digits: int) -> str:
    said = f"{mean(values):.{digits}f}"
    return said + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
