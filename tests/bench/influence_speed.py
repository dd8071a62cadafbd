"""The speed of influence scores beside kronfluence's, round by round; run by tests/bench/influence.py.

Each contender is a process of its own; all fit factors on the same sequences, and a round scores the next tenth of the candidates
against all references. kronfluence's pairwise scores are measured twice: as they come, and with the references' gradients summed
first (aggregate_query_gradients), which is its fastest.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from tests.bench.influence import (
    BATCH,
    DAMPING,
    TOKENS,
    make_model,
    make_sequences,
    peer_analyzer,
    peer_data,
    peer_fit,
    peer_scores,
)
from tests.bench.markdown import table

ROOT = Path(__file__).resolve().parents[2]
WIDTH, DEPTH, VOCABULARY = 256, 4, 1024
CANDIDATES, REFERENCES, FITTED, ROUNDS = 2_000, 64, 200, 10
READY = "ready for a round"
CONTENDERS = ("floor", "sluice", "kronfluence", "kronfluence, references summed")

Score = Callable[[list[np.ndarray]], list[float]]
"""Scores of a round's candidates."""


def contender(name: str, folder: Path) -> None:
    """Fit, then score a round whenever a line comes in; CPU seconds of each, and the most memory of this process, as JSON."""
    import torch

    from tasks.train.format import from_sequences

    torch.set_num_threads(1)
    model = make_model("llama", WIDTH, DEPTH, VOCABULARY)
    candidates, references, fitted = (
        make_sequences(count, seed, VOCABULARY, TOKENS, TOKENS)
        for count, seed in ((CANDIDATES, 1), (REFERENCES, 2), (FITTED, 3))
    )
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    if name == "floor":
        score = floor_rounds(model)
    elif name == "sluice":
        score = own_rounds(model, from_sequences(references, [0] * REFERENCES), fitted)
    else:
        score = peer_rounds(model, references, fitted, folder, name.endswith("summed"))
    fitting = time.process_time() - began
    seconds: list[float] = []
    scores: list[float] = []
    for first in range(0, CANDIDATES, CANDIDATES // ROUNDS):
        print(READY, flush=True)
        sys.stdin.readline()
        began = time.process_time()
        scores += score(candidates[first : first + CANDIDATES // ROUNDS])
        seconds.append(time.process_time() - began)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {"fitting": fitting, "rounds": seconds, "scores": scores, "memory": (most - loaded) / 1024}
    print(f"{READY}\n{json.dumps(told)}")


def floor_rounds(model: Any) -> Score:
    """One forward and backward pass: what training on the candidates would cost."""
    import torch

    from tasks.train.finetune import answer_losses
    from tasks.train.format import from_sequences, pad

    def score(part: list[np.ndarray]) -> list[float]:
        examples = from_sequences(part, [0] * len(part))
        for first in range(0, len(part), BATCH):
            batch = pad(examples, np.arange(first, min(first + BATCH, len(part))), 0)
            answer_losses(model, *batch, torch.device("cpu"))[0].sum().backward()  # type: ignore[no-untyped-call]
        return []

    return score


def own_rounds(model: Any, references: Any, fitted: list[np.ndarray]) -> Score:
    """Ours: the references' direction is made in the first round and kept."""
    from tasks.select.influence.factors import fit_factors
    from tasks.select.influence.scores import Curvature, Direction, reference_direction, stream_scores
    from tasks.train.format import from_sequences

    tokens = BATCH * TOKENS
    factors = fit_factors(model, from_sequences(fitted, [0] * len(fitted)), batch_tokens=tokens)
    made: list[Direction] = []

    def score(part: list[np.ndarray]) -> list[float]:
        if not made:
            curvature = Curvature(damping=DAMPING)
            made.append(reference_direction(model, references, curvature, factors, batch_tokens=tokens))
        examples = from_sequences(part, [0] * len(part))
        return list(map(float, stream_scores(model, made[0], examples, batch_tokens=tokens)))

    return score


def peer_rounds(
    model: Any, references: list[np.ndarray], fitted: list[np.ndarray], folder: Path, summed: bool
) -> Score:
    """kronfluence's, all references against every round's candidates."""
    from tasks.select.influence.layers import linear_layers

    analyzer = peer_analyzer(model, list(linear_layers(model)), folder)
    peer_fit(analyzer, peer_data(fitted))

    def score(part: list[np.ndarray]) -> list[float]:
        found = peer_scores(analyzer, peer_data(references), peer_data(part), summed, DAMPING)
        return list(map(float, found))

    return score


def speed(peer: str) -> bool:
    """Rounds of scoring of every contender, one thread each.

    They take turns, a round each, so that what else the machine does slows all of them alike. CPU seconds: those of the clock
    would be the others' too.
    """
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder, ExitStack() as ended:
        running: dict[str, subprocess.Popen[str]] = {}
        for number, name in enumerate(CONTENDERS):
            own = f"{folder}/{number}"
            command = [sys.executable, "-m", "tests.bench.influence_speed", peer, name, own]
            running[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            ended.callback(running[name].kill)
            until_ready(running[name])
        for _ in range(ROUNDS):
            for process in running.values():
                assert process.stdin
                process.stdin.write("\n")
                process.stdin.flush()
                until_ready(process)
        for name, process in running.items():
            assert process.stdout
            found[name] = json.loads(process.stdout.readlines()[-1])
    floor, ours = sum(found["floor"]["rounds"]), found["sluice"]
    rows = [
        [
            name,
            f"{own['fitting']:.1f}" if own["fitting"] > 0.05 else "",
            f"{own['rounds'][0]:.1f}",
            f"{sum(own['rounds']):.1f}",
            f"{sum(own['rounds']) / floor:.2f}",
            f"{sum(own['rounds']) / sum(ours['rounds']):.2f}",
            f"{own['memory']:,.0f}",
            f"{np.corrcoef(own['scores'], ours['scores'])[0, 1]:.7f}" if own["scores"] else "",
        ]
        for name, own in found.items()
    ]
    head = [
        "",
        "factors, CPU s",
        "first round, CPU s",
        f"{ROUNDS} rounds, CPU s",
        "/ floor",
        "/ sluice",
        "memory, MiB",
        "Pearson with sluice",
    ]
    print(table(head, rows))
    print(
        f"\nFloor: one forward and backward pass over the same tokens. Memory: above what was loaded before. Load: "
        f"{psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores.\n",
        flush=True,
    )
    theirs = found["kronfluence"]
    return sum(theirs["rounds"]) >= 5 * sum(ours["rounds"]) and ours["rounds"][0] <= theirs["rounds"][0]


def until_ready(process: subprocess.Popen[str]) -> None:
    """Wait until a contender waits; what its library prints meanwhile is passed over."""
    assert process.stdout
    for line in process.stdout:
        if line.strip() == READY:
            return
    raise RuntimeError(f"a contender ended with {process.wait()}")


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    contender(sys.argv[2], Path(sys.argv[3]))
