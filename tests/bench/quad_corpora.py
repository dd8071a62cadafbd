"""What Quad's benchmarks share: corpora whose documents are all scored once, and selections from them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tasks.prepare import stages as prepare
from tasks.prepare.documents import CORPUS, read_documents
from tasks.prepare.student import model_path
from tasks.quad import curvature, finish, rounds, visits
from tasks.quad.plan import budget_tokens, next_round
from tasks.quad.scoring import chunks, load_model, per_token
from tasks.quad.settings import QuadSettings
from tasks.run.seeds import generator
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import read_column, read_json, write_json, write_text
from tests.bench import targets
from tests.bench.measure import numbers, parser_of, shares
from tests.bench.prepared import add_student, model_of, student_settings

Facts = dict[str, Any]

CHANGES: dict[str, Facts] = {
    "paper": {"strategy": "neighbours", "buy": "blocks"},
    "neighbours": {"strategy": "neighbours"},
    "quad": {},
    "quad cosine": {"score": "cosine"},
}


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Of the benchmarks of these corpora."""
    made = parser_of(program, description, Path("runs/bench-quad"))
    made.add_argument("--documents", type=int, default=6000)
    made.add_argument("--target", choices=sorted(targets.MAKERS), default="gsm8k")
    add_student(made)
    made.add_argument("--batch-tokens", type=int, default=4096, help="of scoring; more suits a GPU")
    made.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    made.add_argument("--budgets", type=shares, default=[0.05, 0.1])
    return made


def corpus_of(given: argparse.Namespace) -> str:
    return f"mixed-{given.documents}"


def settings_of(given: argparse.Namespace, seed: int, budget: float) -> QuadSettings:
    """The product's defaults."""
    return QuadSettings(
        corpus=[str(given.out / f"{corpus_of(given)}.jsonl")],
        reference=str(given.out / f"{given.target}-reference.jsonl"),
        test=str(given.out / f"{given.target}-test.jsonl"),
        batch_tokens=given.batch_tokens,
        **student_settings(given),
        seed=seed,
        budget=budget,
        runs_dir=str(given.out),
    )


def write_inputs(given: argparse.Namespace) -> None:
    """The corpus, and the target's parts."""
    pages = targets.mixed()[0]
    order = generator(0, "bench", "quad").permutation(len(pages))[: given.documents]
    reference, test = targets.MAKERS[given.target]()
    for name, rows in (
        (corpus_of(given), [pages[row] for row in sorted(order)]),
        (f"{given.target}-reference", reference),
        (f"{given.target}-test", test),
    ):
        write_text(
            given.out / f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        )


def prepared(given: argparse.Namespace, seed: int) -> tuple[Path, Facts]:
    """A folder with corpus, vectors, clusters, model, curvature and both scores of all documents; made once for a seed."""
    at = given.out / f"{corpus_of(given)}-{given.target}-{model_of(given)}-seed-{seed}"
    if (at / "facts.json").exists():
        return at, read_json(at / "facts.json")
    own = settings_of(given, seed, given.budgets[0])
    target = prepare.target(at, own, source={})
    corpus = prepare.corpus(at, own, source={}, target=target)
    vectors = prepare.encode(at, own, corpus=corpus, target=target)
    clusters = prepare.clusters(at, own, vectors=vectors)
    model = curvature.model(at, own, corpus=corpus)
    began = time.process_time()
    curvature.curvature(at, own, corpus=corpus, target=target, model=model)
    fitting = time.process_time() - began
    began = time.process_time()
    _score_all(at, own, corpus["documents"])
    facts = {
        "corpus": {name: corpus[name] for name in ("documents", "tokens")},
        "clusters": clusters["clusters"],
        "seconds_curvature": fitting,
        "seconds_scoring": time.process_time() - began,
    }
    write_json(at / "facts.json", facts)
    return at, facts


def scores_path(at: Path, score: str) -> Path:
    """Where that score of every document is."""
    return at / f"stages/all-{score}.npy"


def _score_all(at: Path, own: QuadSettings, documents: int) -> None:
    """As `tasks.quad.scoring` does; both scores come from one pass."""
    from tasks.select.influence.scores import Direction, stream_products

    model, tokenizer = load_model(model_path(at, own.model), str(at))
    direction = Direction.load(curvature.direction_path(at, 0), next(model.parameters()).device)
    texts = [row["text"] for row in read_documents(at, range(documents))]
    parts, owners = chunks(tokenizer, texts, own.sequence_tokens)
    (products,), squares = stream_products(model, [direction], parts, own.batch_tokens)
    cosines = products / np.maximum(np.sqrt(squares) * direction.length, 1e-30)
    for name, sums in (("influence", products / direction.unit), ("cosine", cosines * parts.loss_lengths)):
        save_array(scores_path(at, name), per_token(sums, parts, owners, documents))


def ordered(at: Path, strategy: str, seed: int) -> np.ndarray:
    """All documents, the first to select first; "full SCORE" is by that score."""
    if strategy == "random":
        return generator(seed, "bench", "quad", "random").permutation(len(load_array(at / "vectors.npy")))
    if strategy == "similarity":
        reference = np.asarray(load_array(at / "stages/reference.npy")).mean(axis=0)
        return np.argsort(-(np.asarray(load_array(at / "vectors.npy")) @ reference), kind="stable")
    return np.argsort(-np.asarray(load_array(scores_path(at, strategy.removeprefix("full ")))), kind="stable")


@contextmanager
def known_scores(at: Path, score: str) -> Iterator[None]:
    """Inside, rounds look up the scores of documents instead of making them again."""
    made, texts = visits.score_documents, read_column(at / CORPUS, "text").tolist()
    scores = dict(zip(texts, load_array(scores_path(at, score)).tolist(), strict=True))
    visits.score_documents = lambda texts, **_: iter([scores[text] for text in texts])
    try:
        yield
    finally:
        visits.score_documents = made


def select(at: Path, made: Path, own: QuadSettings, strategy: str, corpus: Facts) -> Facts:
    """Write selected.jsonl. Returns how many documents were selected and how many had to be scored, and CPU seconds of the rest.

    Args:
        strategy: one of CHANGES, "" for the settings as they are, or one that `ordered` knows.
    """
    began = time.process_time()
    if not strategy or strategy in CHANGES:
        own = own.model_copy(update=CHANGES.get(strategy, {}))
        so_far = rounds.nothing_yet(made, own, corpus)
        with known_scores(at, own.score):
            while plan := next_round(own, corpus, so_far):
                so_far = rounds.visit(
                    made, own, plan, clusters={}, curvature={"mark": str(own.seed)}, before=so_far
                )
        chosen = finish.select(made, own, corpus=corpus, last=so_far)
        scored = so_far["scored"]
    else:
        tokens = np.asarray(read_column(at / CORPUS, "tokens"))
        order = ordered(at, strategy, own.seed)
        rows = order[np.cumsum(tokens[order]) <= budget_tokens(own, corpus)].tolist()
        lines = [
            json.dumps({"id": one["id"], "text": one["text"]}) + "\n" for one in read_documents(at, rows)
        ]
        write_text(made / finish.SELECTED, "".join(lines))
        chosen = {"documents": len(rows), "tokens": int(tokens[rows].sum())}
        scored = corpus["documents"] if strategy.startswith("full ") else 0
    return {
        "selected": chosen["documents"],
        "selected_tokens": chosen["tokens"],
        "scored": scored,
        "seconds_selecting": time.process_time() - began,
    }
