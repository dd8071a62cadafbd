"""Do influence scores foretell what a model learns from other documents: their linear datamodelling score (LDS).

    python -m tests.bench.lds [--peer PEER] [--retrainings 48] [--repeats 2] [--out runs/bench-lds] [--table]

The tiny student is pre-trained on 1,000 documents of the shared mixture and then trained on random halves of 200 others. The scores
of a half's documents, summed, foretell how far a query's loss falls; the LDS of a query is Spearman's correlation over the halves of
what was foretold and what came (Park et al., arXiv 2303.14186). Queries are held-out documents of the mixture, and answers of GSM8K.
Scores are taken once, at the model trained on all 200 documents. What the order of the documents does by itself is measured by training
on each half again. PEER is the folder that kronfluence is in; see influence.py. One core; a stopped run continues.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tasks.quad.scoring import chunks
from tasks.run.seeds import generator, integer
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import read_json, write_json
from tasks.train.format import Examples, Ints, concatenated, encode_pairs, from_sequences
from tasks.train.training import Training
from tests.bench import influence, results, targets
from tests.bench.datamodels import agreement, foretold, interval, lds, resampled
from tests.bench.markdown import table
from tests.bench.measure import parser_of, run_on_mixture

Facts = dict[str, Any]

BASE_DOCUMENTS, DOCUMENTS, QUERIES = 1_000, 200, 48  # queries of each kind
KINDS = {"documents": slice(0, QUERIES), "GSM8K": slice(QUERIES, 2 * QUERIES)}
TRAINING = Training(
    sequence_tokens=256
)  # else the product's defaults: 2 epochs, rate 1e-3, batches of 1,024 tokens
BATCH_TOKENS = 4096  # where nothing is learnt

OURS, PEER = "EK-FAC, attention + MLP", "kronfluence, attention + MLP"
ATTENTION, MLP, PLAIN = "EK-FAC, attention", "EK-FAC, MLP", "dot product of gradients"
SIMILAR, RANDOM = "similarity of texts", "random"
SCORES = (OURS, PEER, ATTENTION, MLP, PLAIN, SIMILAR, RANDOM)


# --- what is trained on, and what is asked


def texts() -> tuple[list[str], list[str], list[str]]:
    """Documents for the base, for the training and for the queries; none is in two of them."""
    inside, outside = targets.mixed()
    first = generator(0, "bench", "quad").permutation(len(inside))[:BASE_DOCUMENTS]  # those of quad.py
    rest = generator(0, "bench", "lds").permutation(len(outside))[: DOCUMENTS + QUERIES]
    others = [outside[row]["text"] for row in rest]
    return [inside[row]["text"] for row in sorted(first)], others[:DOCUMENTS], others[DOCUMENTS:]


def first_parts(tokenizer: Any, documents: Sequence[str]) -> Examples:
    """The first sequence of each document."""
    parts, owners = chunks(tokenizer, documents, TRAINING.sequence_tokens)
    return take(parts, np.unique(owners, return_index=True)[1])


def questions(tokenizer: Any, documents: Sequence[str]) -> Examples:
    """All queries, in the order of KINDS: all tokens of a document bear loss, and those of an answer."""
    pairs = [(one["question"], one["answer"]) for one in targets.gsm8k()[0][:QUERIES]]
    return concatenated(
        [first_parts(tokenizer, documents), encode_pairs(tokenizer, pairs, TRAINING.sequence_tokens)]
    )


def sequences_of(examples: Examples) -> list[Ints]:
    return np.split(examples.tokens, examples.offsets[1:-1])


def take(examples: Examples, rows: Sequence[int] | Ints) -> Examples:
    """Some of the examples."""
    sequences = sequences_of(examples)
    return from_sequences([sequences[row] for row in rows], examples.prompts[list(rows)].tolist())


# --- retrainings


def half(number: int, documents: int = DOCUMENTS) -> Ints:
    """Rows of the documents in a random half, (documents // 2,)."""
    return np.sort(generator(0, "bench", "lds", "half", number).permutation(documents)[: documents // 2])


def row_of(number: int, repeat: int) -> Facts:
    """The name of a measurement, as results.py has it: a half, and which of the trainings on it."""
    return {
        "corpus": "mixed",
        "target": "documents and GSM8K",
        "budget": 0.5,
        "strategy": "half",
        "seed": number,
        "kind": f"repeat {repeat}",
    }


def retrain(out: Path, retrainings: int, repeats: int, train: Callable[[Ints, int], Facts]) -> None:
    """Train on halves, each `repeats` times with another order of its documents; what is in the results already is left.

    Args:
        train: gives the facts of a training, the queries' losses among them, for rows of the documents and a seed.
    """
    done = results.load(out)
    for repeat, number in product(range(repeats), range(retrainings)):
        row = row_of(number, repeat)
        if results.key(row) not in done:
            seed = integer(0, "bench", "lds", "training", number, repeat)
            results.append(out, {**row, "training_seed": seed, **train(half(number), seed)})
            print(f"half {number}, training {repeat}", flush=True)


def trained(base: Path, documents: Examples, queries: Examples, seed: int) -> tuple[Any, Any, Facts]:
    """A copy of the base trained on documents, its tokenizer, and what came of it."""
    from tasks.train.checkpoint import load_student
    from tasks.train.finetune import fit

    model, tokenizer = load_student(base)
    log = fit(model, documents, replace(TRAINING, seed=seed))
    steps = max(1, len(log.losses) // 10)
    facts = {
        "tokens": log.tokens,
        "first": float(np.mean(log.losses[:steps])),
        "last": float(np.mean(log.losses[-steps:])),
        "losses": query_losses(model, queries).tolist(),
    }
    return model, tokenizer, facts


def query_losses(model: Any, queries: Examples) -> np.ndarray:
    """Loss of each query, summed over its tokens, nats (q,)."""
    from tasks.train.evaluate import example_losses

    return example_losses(model, queries, BATCH_TOKENS).loss


def outcomes(out: Path, retrainings: int, repeats: int) -> tuple[Ints, np.ndarray]:
    """What is measured.

    Returns:
        Numbers of the s halves that were trained on, and the queries' losses, (repeats, s, q), nan where a repeat is missing.
    """
    found = results.load(out)
    rows = [
        [found.get(results.key(row_of(number, repeat))) for number in range(retrainings)]
        for repeat in range(repeats)
    ]
    numbers = [number for number, row in enumerate(rows[0]) if row]
    missing = [math.nan] * (2 * QUERIES)
    losses = [[row["losses"] if (row := own[number]) else missing for number in numbers] for own in rows]
    return np.array(numbers, np.int64), np.array(losses).reshape(repeats, len(numbers), 2 * QUERIES)


# --- scores


def scorers(
    model: Any, tokenizer: Any, documents: Examples, queries: Examples, corpus: Sequence[str]
) -> dict[str, Callable[[], np.ndarray]]:
    """What makes each of the scores of all documents for each query, larger is better, (q, n).

    Args:
        corpus: texts that similarity learns from.
    """
    from tasks.select.influence.factors import fit_factors
    from tasks.select.influence.scores import Curvature

    def influences(curvature: Curvature) -> np.ndarray:
        return pairwise_scores(model, documents, queries, curvature, factors)

    factors = fit_factors(model, documents, "all", batch_tokens=BATCH_TOKENS)
    return {
        OURS: lambda: influences(Curvature("all")),
        PEER: lambda: peer_scores(model, documents, queries),
        ATTENTION: lambda: influences(Curvature("attention")),
        MLP: lambda: influences(Curvature("mlp")),
        PLAIN: lambda: influences(Curvature("all", plain=True)),
        SIMILAR: lambda: similarities(tokenizer, documents, queries, corpus),
        RANDOM: lambda: generator(0, "bench", "lds", "random").normal(size=(len(queries), len(documents))),
    }


def pairwise_scores(
    model: Any, documents: Examples, queries: Examples, curvature: Any, factors: Any
) -> np.ndarray:
    """What `stream_scores` gives for the direction of each query, (q, n), in one pass over the documents instead of q.

    A document's gradient is made here, which streaming avoids, since with as many directions it is the cheaper way.
    """
    import torch

    from tasks.select.influence.capture import captured, passes
    from tasks.select.influence.factors import Factors
    from tasks.select.influence.layers import linear_layers
    from tasks.select.influence.scores import reference_direction

    modules = linear_layers(model, curvature.layers)
    own = Factors({name: factors.layers[name] for name in modules}, factors.model)
    directions = [
        reference_direction(model, take(queries, [row]), curvature, own).matrices
        for row in range(len(queries))
    ]
    stacked = {name: torch.stack([one[name].flatten() for one in directions]) for name in modules}
    found = np.zeros((len(queries), len(documents)))
    parts: list[torch.Tensor] = []

    def use(name: str, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        gradient = torch.einsum("bto,bti->boi", gradients, inputs)
        parts.append((stacked[name] @ gradient.flatten(1).T).double())

    with captured(model, modules, use):
        for rows in passes(model, documents, BATCH_TOKENS, lambda rows, places: parts.clear()):
            found[:, rows] = torch.stack(parts).sum(0).cpu().numpy()
    return found


def peer_scores(model: Any, documents: Examples, queries: Examples) -> np.ndarray:
    """kronfluence's scores, with its factors of the same layers and documents, (q, n)."""
    from tasks.select.influence.layers import linear_layers

    asked = influence.peer_data(sequences_of(queries))
    for row, prompt in zip(asked, queries.prompts, strict=True):
        row["labels"][:prompt] = -100
    given = influence.peer_data(sequences_of(documents))
    with TemporaryDirectory() as folder:
        analyzer = influence.peer_analyzer(model, list(linear_layers(model, "all")), Path(folder))
        influence.peer_fit(analyzer, given)
        return influence.peer_pairwise(analyzer, asked, given, False, None)


def similarities(tokenizer: Any, documents: Examples, queries: Examples, corpus: Sequence[str]) -> np.ndarray:
    """Cosines of the texts by the product's own encoder, (q, n): what is free to know."""
    from tasks.select.lsa import LSAEncoder

    encoder = LSAEncoder.fit(corpus, dimensions=256, seed=0)
    of_queries, of_documents = (
        encoder.encode([tokenizer.decode(one) for one in sequences_of(part)]) for part in (queries, documents)
    )
    return np.asarray(of_queries @ of_documents.T, float)


# --- the run


def measure(given: argparse.Namespace) -> None:
    """Measure what is not in the results yet."""
    from tasks.train.checkpoint import load_student, save_student
    from tasks.train.student import make_student
    from tasks.train.threads import one_thread

    out = given.out
    base, whole = out / "base", out / "whole"
    for_base, for_training, held_out = texts()
    with one_thread():
        if not base.exists():
            make_student(base, for_base, seed=integer(0, "student"))
        model, tokenizer = load_student(base)
        documents, queries = first_parts(tokenizer, for_training), questions(tokenizer, held_out)
        if not whole.exists():
            before = query_losses(model, queries).tolist()
            own, tokenizer, facts = trained(base, documents, queries, integer(0, "bench", "lds", "whole"))
            tokens = {
                name: int(take(queries, range(2 * QUERIES)[at]).loss_lengths.sum())
                for name, at in KINDS.items()
            }
            write_json(out / "facts.json", {**facts, "before": before, "query_tokens": tokens})
            save_student(own, tokenizer, whole)
        make_scores(given, *load_student(whole), documents, queries, [*for_base, *for_training])
        retrain(
            out,
            given.retrainings,
            given.repeats,
            lambda rows, seed: trained(base, take(documents, rows), queries, seed)[2],
        )


def scores_path(out: Path, name: str) -> Path:
    return out / "scores" / f"{name.replace(',', '').replace(' ', '-')}.npy"


def make_scores(given: argparse.Namespace, *of: Any) -> None:
    """Scores that are not there yet, kronfluence's only if it is given; see `scorers`."""
    names = [name for name in SCORES if name != PEER or given.peer]
    if missing := [name for name in names if not scores_path(given.out, name).exists()]:
        makers = scorers(*of)
        for name in missing:
            save_array(scores_path(given.out, name), makers[name]())


def markdown(given: argparse.Namespace) -> str:
    """Tables of what is measured."""
    numbers, losses = outcomes(given.out, given.retrainings, given.repeats)
    if not len(numbers):
        return "Nothing is measured yet."
    facts = read_json(given.out / "facts.json")
    halves = [half(number) for number in numbers]
    sums = {
        name: foretold(np.asarray(load_array(scores_path(given.out, name))), halves)
        for name in SCORES
        if scores_path(given.out, name).exists()
    }
    trainings = [training_row(kind, losses[:, :, columns], facts, columns) for kind, columns in KINDS.items()]
    after = np.nanmean(losses, axis=0)
    rows: list[list[str]] = []
    for kind, columns in KINDS.items():
        rows += lds_rows(kind, after[:, columns], {name: own[:, columns] for name, own in sums.items()})
    for kind, columns in KINDS.items():  # what selection steers by is the mean loss of a reference
        means = {name: own[:, columns].mean(axis=1, keepdims=True) for name, own in sums.items()}
        rows += lds_rows(f"mean of {kind}", after[:, columns].mean(axis=1, keepdims=True), means)
    head = ["queries", "tokens", "loss before", "after a half", "after all", "trainings agree", "ceiling"]
    scores_head = ["queries", "scores", "LDS", "95 %", f"{OURS} − these", "95 %"]
    measured = int((~np.isnan(losses[:, :, 0])).sum())
    return f"{measured} trainings on {len(numbers)} halves.\n\n{table(head, trainings)}\n\n{table(scores_head, rows)}"


def training_row(kind: str, losses: np.ndarray, facts: Facts, columns: slice) -> list[str]:
    """What the trainings did to queries of a kind; losses per token, nats."""
    tokens = facts["query_tokens"][kind]
    before, after = (sum(facts[name][columns]) / tokens for name in ("before", "losses"))
    halves = np.nansum(losses, axis=2)[~np.isnan(losses[:, :, 0])] / tokens
    one, most = agreement(losses)
    return [
        kind,
        f"{tokens:,}",
        f"{before:.3f}",
        f"{halves.mean():.3f} ± {halves.std(ddof=1):.3f}",
        f"{after:.3f}",
        f"{one:.2f}",
        f"{most:.2f}",
    ]


def lds_rows(kind: str, losses: np.ndarray, sums: Mapping[str, np.ndarray]) -> list[list[str]]:
    """A row for each scores: its LDS, and how much better the first is on the same samples; bold where 0 is outside."""
    drawn = resampled(losses, sums)
    best = lds(losses, sums[OURS])
    rows = []
    for name, own in sums.items():
        apart, between = best - lds(losses, own), interval(drawn[OURS] - drawn[name])
        text = f"**{apart:+.3f}**" if between[0] * between[1] > 0 else f"{apart:+.3f}"
        shown = [text, _shown(between, "+.3f")] if name != OURS else ["", ""]
        rows.append([kind, name, f"{lds(losses, own):.3f}", _shown(interval(drawn[name]), ".3f"), *shown])
    return rows


def _shown(between: tuple[float, float], form: str) -> str:
    return f"{between[0]:{form}} to {between[1]:{form}}"


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = parser_of("lds", (__doc__ or "").split("\n")[0], Path("runs/bench-lds"))
    parser.add_argument("--peer", type=Path, help="folder that kronfluence is installed in; left out without")
    parser.add_argument("--retrainings", type=int, default=48, help="random halves to train on")
    parser.add_argument("--repeats", type=int, default=2, help="trainings on each half")
    return parser.parse_args(arguments)


def main() -> int:
    given = options()
    if given.peer:
        sys.path.append(str(given.peer.resolve()))
    return run_on_mixture(given, measure, markdown)


if __name__ == "__main__":
    sys.exit(main())
