"""The speed of influence scores beside kronfluence's, round by round; run by tests/bench/influence.py.

Each contender is a process of its own, on the GPU where there is one (all in bfloat16 by autocast), else on one core; all fit factors on the same sequences, and a round scores the next tenth of the candidates
against all references. kronfluence's pairwise scores depend on how many references' gradients it holds at once, since it goes through
all candidates for every so many: they are measured with 16 and with all of them, and with the gradients summed first
(aggregate_query_gradients), which gives no score of a pair and is its fastest.
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
    peer_pairwise,
)
from tests.bench.markdown import table

ROOT = Path(__file__).resolve().parents[2]
WIDTH, DEPTH, VOCABULARY = 256, 4, 1024
CANDIDATES, REFERENCES, FITTED, ROUNDS = 2_000, 64, 200, 10
READY = "ready for a round"
PAIRWISE = {f"kronfluence, {count} references at once": count for count in (16, REFERENCES)}
SUMMED = "kronfluence, references summed"
CONTENDERS = ("floor", "sluice", *PAIRWISE, SUMMED)

Score = Callable[[list[np.ndarray]], list[float]]
"""Scores of a round's candidates."""


def contender(name: str, folder: Path, path: str) -> None:
    """Fit, then score a round whenever a line comes in; seconds of each, and the most memory, as JSON.

    Args:
        path: of the model; "" for a random one.
    """
    import torch

    from tasks.train.checkpoint import load_student
    from tasks.train.format import from_sequences

    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_student(path)[0] if path else make_model("llama", WIDTH, DEPTH, VOCABULARY).to(device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    candidates, references, fitted = (
        make_sequences(count, seed, VOCABULARY, TOKENS, TOKENS)
        for count, seed in ((CANDIDATES, 1), (REFERENCES, 2), (FITTED, 3))
    )
    loaded = most_memory(device)
    began = clock()
    if name == "floor":
        score = floor_rounds(model)
    elif name == "sluice":
        score = own_rounds(model, from_sequences(references, [0] * REFERENCES), fitted)
    else:
        score = peer_rounds(model, references, fitted, folder, name == SUMMED, PAIRWISE.get(name, REFERENCES))
    fitting = clock() - began
    seconds: list[float] = []
    scores: list[float] = []
    for first in range(0, CANDIDATES, CANDIDATES // ROUNDS):
        print(READY, flush=True)
        sys.stdin.readline()
        began = clock()
        scores += score(candidates[first : first + CANDIDATES // ROUNDS])
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - began)
    told = {"fitting": fitting, "rounds": seconds, "scores": scores, "memory": most_memory(device) - loaded}
    print(f"{READY}\n{json.dumps(told)}")


def most_memory(device: Any) -> float:
    """The most that this process has held so far, MiB: of the GPU's, or of the machine's."""
    import torch

    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated()) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def floor_rounds(model: Any) -> Score:
    """One forward and backward pass: what training on the candidates would cost."""

    from tasks.train.finetune import answer_losses
    from tasks.train.format import from_sequences, pad

    device = next(model.parameters()).device

    def score(part: list[np.ndarray]) -> list[float]:
        examples = from_sequences(part, [0] * len(part))
        for first in range(0, len(part), BATCH):
            batch = pad(examples, np.arange(first, min(first + BATCH, len(part))), 0)
            answer_losses(model, *batch, device)[0].sum().backward()  # type: ignore[no-untyped-call]
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
    model: Any,
    references: list[np.ndarray],
    fitted: list[np.ndarray],
    folder: Path,
    summed: bool,
    at_once: int,
) -> Score:
    """kronfluence's, all references against every round's candidates."""
    from tasks.select.influence.layers import linear_layers

    on_gpu = next(model.parameters()).device.type == "cuda"
    analyzer = peer_analyzer(model, list(linear_layers(model)), folder, cpu=not on_gpu)
    peer_fit(analyzer, peer_data(fitted), on_gpu)

    def score(part: list[np.ndarray]) -> list[float]:
        asked, given = peer_data(references), peer_data(part)
        found = peer_pairwise(analyzer, asked, given, summed, DAMPING, on_gpu, at_once)
        return list(map(float, found.sum(0) / len(references)))

    return score


def speed(peer: str, path: str) -> bool:
    """Rounds of scoring of every contender.

    They take turns, a round each, so that what else the machine does slows all of them alike. On one core CPU seconds, since those
    of the clock would be the others' too; on a GPU those of the clock.

    Args:
        path: of the model; "" for a random one.
    """
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder, ExitStack() as ended:
        running: dict[str, subprocess.Popen[str]] = {}
        for number, name in enumerate(CONTENDERS):
            own = f"{folder}/{number}"
            command = [sys.executable, "-m", "tests.bench.influence_speed", peer, name, own, path]
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
        "factors, s",
        "first round, s",
        f"{ROUNDS} rounds, s",
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
    theirs = min((found[name] for name in PAIRWISE), key=lambda own: sum(own["rounds"]))
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
    contender(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
