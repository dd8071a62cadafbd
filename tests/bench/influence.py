"""Influence scores beside kronfluence's: do they agree, how long do they take, how much memory.

    pip install --no-deps --target PEER kronfluence==1.0.1 accelerate einops einconv opt_einsum datasets multiprocess dill xxhash
    python -m tests.bench.influence --peer PEER [agreement|speed]

kronfluence would bring a torchvision that does not fit the CPU build of torch, hence --no-deps and a folder of its own. It knows
nn.Linear only, so GPT-2's layers are made into such for it. Each contender of the speed is a process of its own; both fit factors
on the same sequences, and a round scores the next tenth of the candidates against all references. Its pairwise scores are
measured twice: as they come, and with the references' gradients summed first (aggregate_query_gradients), which is its fastest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from tests.bench.markdown import table

ROOT = Path(__file__).resolve().parents[2]
DAMPING = 1e-4
WIDTH, DEPTH, VOCABULARY, TOKENS = 256, 4, 1024, 256
CANDIDATES, REFERENCES, FITTED, ROUNDS = 2_000, 64, 200, 10
BATCH = 16  # sequences
READY = "ready for a round"
CONTENDERS = ("floor", "sluice", "kronfluence", "kronfluence, references summed")

Score = Callable[[list[np.ndarray]], list[float]]
"""Scores of a round's candidates."""


def make_model(kind: str, width: int, depth: int, vocabulary: int) -> Any:
    """A Llama or a GPT-2 with random weights; GPT-2's linear layers as nn.Linear."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    if kind.startswith("gpt2"):
        model: Any = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_embd=width,
                n_layer=depth,
                n_head=4,
                n_positions=TOKENS,
                initializer_range=0.1,
            )
        )
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if type(child).__name__ == "Conv1D":
                    linear = torch.nn.Linear(*child.weight.shape)
                    linear.weight.data.copy_(child.weight.data.T)
                    # kronfluence takes every bias that is there into the layer's factor.
                    linear.bias = None if kind != "gpt2" else linear.bias
                    setattr(module, name, linear)
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=depth,
                num_attention_heads=4,
                max_position_embeddings=TOKENS,
                tie_word_embeddings=True,
                initializer_range=0.1,
            )
        )
    return model.eval()


def make_sequences(count: int, seed: int, vocabulary: int, shortest: int, longest: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(1, vocabulary, size=random.integers(shortest, longest + 1)) for _ in range(count)]


def peer_analyzer(model: Any, names: list[str], folder: Path) -> Any:
    """kronfluence's analyzer of a copy of the model, on the same layers and with the same loss."""
    import copy

    import torch
    from kronfluence.analyzer import Analyzer, prepare_model  # type: ignore[import-not-found]
    from kronfluence.task import Task  # type: ignore[import-not-found]

    class Summed(Task):  # type: ignore[misc]
        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> Any:
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            return torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), reduction="sum"
            )

        def compute_measurement(self, batch: Any, model: Any) -> Any:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return names

        def get_attention_mask(self, batch: Any) -> Any:
            return batch["attention_mask"]

    own = prepare_model(copy.deepcopy(model), Summed())
    return Analyzer(
        analysis_name="bench",
        model=own,
        task=Summed(),
        cpu=True,
        output_dir=str(folder),
        disable_tqdm=True,
        disable_model_save=True,
    )


def peer_data(sequences: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    import torch

    longest = max(map(len, sequences))
    rows = []
    for one in sequences:
        ids, mask = np.zeros(longest, np.int64), np.zeros(longest, np.int64)
        ids[: len(one)], mask[: len(one)] = one, 1
        rows.append(
            {
                "input_ids": torch.from_numpy(ids),
                "attention_mask": torch.from_numpy(mask),
                "labels": torch.from_numpy(np.where(mask, ids, -100)),
            }
        )
    return rows


def peer_fit(analyzer: Any, data: list[dict[str, Any]]) -> None:
    from kronfluence.arguments import FactorArguments  # type: ignore[import-not-found]

    analyzer.fit_all_factors(
        "f",
        data,
        per_device_batch_size=BATCH,
        factor_args=FactorArguments(strategy="ekfac", use_empirical_fisher=True),
        overwrite_output_dir=True,
    )


def peer_pairwise(
    analyzer: Any, references: Any, candidates: Any, summed: bool, damping: float | None
) -> np.ndarray:
    """Scores of each candidate for each reference, (r, n); for their sum if `summed`, (1, n)."""
    from kronfluence.arguments import ScoreArguments

    analyzer.compute_pairwise_scores(
        "s",
        "f",
        references,
        candidates,
        per_device_query_batch_size=BATCH,
        per_device_train_batch_size=BATCH,
        score_args=ScoreArguments(damping_factor=damping, aggregate_query_gradients=summed),
        overwrite_output_dir=True,
    )
    return np.asarray(analyzer.load_pairwise_scores("s")["all_modules"].double())


def peer_scores(
    analyzer: Any, references: Any, candidates: Any, summed: bool, damping: float | None
) -> np.ndarray:
    """Mean over the references of the pairwise scores."""
    return peer_pairwise(analyzer, references, candidates, summed, damping).sum(0) / len(references)


def agreement() -> bool:
    """Scores of tiny models with padding, ours beside kronfluence's, over layers and dampings."""
    from tasks.select.influence.layers import linear_layers
    from tasks.select.influence.scores import Curvature, influence_scores
    from tasks.train.format import from_sequences

    rows, sound = [], True
    for kind, bias in (("llama", False), ("gpt2", True), ("gpt2 without biases", False)):
        model = make_model(kind, 32, 2, 64)
        candidates, references = (make_sequences(count, seed, 64, 4, 24) for count, seed in ((60, 1), (8, 2)))
        for which in ("attention", "mlp", "all"):
            with TemporaryDirectory() as folder:
                analyzer = peer_analyzer(model, list(linear_layers(model, which)), Path(folder))
                peer_fit(analyzer, peer_data(candidates))
                for damping in (DAMPING, None):
                    ours = influence_scores(
                        model,
                        from_sequences(references, [0] * len(references)),
                        from_sequences(candidates, [0] * len(candidates)),
                        curvature=Curvature(which, bias, damping=damping),
                    )
                    theirs = peer_scores(
                        analyzer, peer_data(references), peer_data(candidates), False, damping
                    )
                    pearson = float(np.corrcoef(ours, theirs)[0, 1])
                    relative = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
                    sound = sound and pearson >= 0.99999 and relative <= 1e-4
                    shown = "0.1 mean" if damping is None else f"{damping:g}"
                    rows.append([kind, which, shown, f"{1 - pearson:.1e}", f"{relative:.1e}"])
    head = ["model", "layers", "damping", "1 - Pearson", "largest difference / largest score"]
    print(table(head, rows) + "\n", flush=True)
    return sound


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
            command = [sys.executable, "-m", "tests.bench.influence", "--peer", peer, "one", name, own]
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


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.influence", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--peer", required=True, help="folder that kronfluence is installed in")
    parser.add_argument("what", nargs="*", help="agreement, speed; by default both")
    given = parser.parse_args()
    peer = str(Path(given.peer).resolve())
    sys.path.append(peer)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.what[:1] == ["one"]:
        contender(given.what[1], Path(given.what[2]))
        return 0
    sound = [
        part()
        for name, part in (("agreement", agreement), ("speed", lambda: speed(peer)))
        if not given.what or name in given.what
    ]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
