"""Influence scores beside kronfluence's: do they agree, how long do they take, how much memory.

    pip install --no-deps --target PEER kronfluence==1.0.1 accelerate einops einconv opt_einsum datasets multiprocess dill xxhash
    python -m tests.bench.influence --peer PEER [--model PATH] [agreement|speed]

kronfluence would bring a torchvision that does not fit the CPU build of torch, hence --no-deps and a folder of its own. It knows
nn.Linear only, so GPT-2's layers are made into such for it. The speed is measured in tests/bench/influence_speed.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.bench.markdown import table

DAMPING = 1e-4
TOKENS = 256  # the most of a sequence
BATCH = 16  # sequences


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


def peer_analyzer(model: Any, names: list[str], folder: Path, cpu: bool = True) -> Any:
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
        cpu=cpu,
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


def peer_fit(analyzer: Any, data: list[dict[str, Any]], half: bool = False) -> None:
    """Factors; in bfloat16 wherever kronfluence can if `half`."""
    from kronfluence.arguments import FactorArguments  # type: ignore[import-not-found]

    analyzer.fit_all_factors(
        "f",
        data,
        per_device_batch_size=BATCH,
        factor_args=FactorArguments(strategy="ekfac", use_empirical_fisher=True, amp_dtype=_low(half)),
        overwrite_output_dir=True,
    )


def _low(half: bool) -> Any:
    import torch

    return torch.bfloat16 if half else None


def peer_pairwise(
    analyzer: Any,
    references: Any,
    candidates: Any,
    summed: bool,
    damping: float | None,
    half: bool = False,
    at_once: int = BATCH,
) -> np.ndarray:
    """Scores of each candidate for each reference, (r, n); for their sum if `summed`, (1, n).

    Args:
        at_once: references whose gradients are held at once; for every so many it goes through all candidates.
    """
    from kronfluence.arguments import ScoreArguments

    analyzer.compute_pairwise_scores(
        "s",
        "f",
        references,
        candidates,
        per_device_query_batch_size=at_once,
        per_device_train_batch_size=BATCH,
        score_args=ScoreArguments(
            damping_factor=damping, aggregate_query_gradients=summed, amp_dtype=_low(half)
        ),
        overwrite_output_dir=True,
    )
    return np.asarray(analyzer.load_pairwise_scores("s")["all_modules"].double())


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
                    theirs = peer_pairwise(
                        analyzer, peer_data(references), peer_data(candidates), False, damping
                    ).mean(0)
                    pearson = float(np.corrcoef(ours, theirs)[0, 1])
                    relative = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
                    sound = sound and pearson >= 0.99999 and relative <= 1e-4
                    shown = "0.1 mean" if damping is None else f"{damping:g}"
                    rows.append([kind, which, shown, f"{1 - pearson:.1e}", f"{relative:.1e}"])
    head = ["model", "layers", "damping", "1 - Pearson", "largest difference / largest score"]
    print(table(head, rows) + "\n", flush=True)
    return sound


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.influence", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--peer", required=True, help="folder that kronfluence is installed in")
    parser.add_argument(
        "--model",
        default="",
        help="folder of a causal language model whose speed is measured, by default a random one",
    )
    parser.add_argument("what", nargs="*", help="agreement, speed; by default both")
    given = parser.parse_args()
    peer = str(Path(given.peer).resolve())
    sys.path.append(peer)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from tests.bench.influence_speed import speed

    sound = [
        part()
        for name, part in (("agreement", agreement), ("speed", lambda: speed(peer, given.model)))
        if not given.what or name in given.what
    ]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
