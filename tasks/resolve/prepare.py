"""Before anybody is asked: the questions, the pool of demonstrations, and what is shown with which batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.corpus.formats import given_with
from tasks.match.batching import cluster_questions, make_batches
from tasks.match.blocking import blocking_report, candidates
from tasks.match.demonstrations import Selection, select_demonstrations
from tasks.match.features import embedding_features, pair_features
from tasks.match.read import Pairs
from tasks.match.serialise import estimated_tokens
from tasks.records import BadInput
from tasks.resolve.records import given_pairs, labelled_pool, records_of
from tasks.resolve.settings import BatcherSettings
from tasks.run.seeds import generator, integer
from tasks.select.encode import EncoderSpec, encode_texts
from tasks.select.lsa import LSAEncoder
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import read_json, read_rows, write_json, write_table

Facts = dict[str, Any]

QUESTIONS, POOL = "stages/questions.parquet", "stages/pool.parquet"
QUESTION_FEATURES, POOL_FEATURES = "stages/questions.npy", "stages/pool.npy"
SELECTION = "stages/selection.json"
LSA = "stages/encoder"
_ROWS = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("label", pa.int8())])


def load_pairs(path: Path) -> Pairs:
    """Pairs as a stage has left them."""
    rows = read_rows(path)
    labels = [row["label"] for row in rows]
    return Pairs(
        np.array([row["left"] for row in rows], dtype=np.int64),
        np.array([row["right"] for row in rows], dtype=np.int64),
        None if None in labels or not labels else np.array(labels, dtype=np.int8),
    )


def pairs(run: Path, settings: BatcherSettings, source: Facts) -> Facts:
    """The questions, as given or by blocking, and the pool of pairs that can be labelled.

    A labelled pair that is a question is left out of the pool, or its label would help to decide itself.
    """
    records = records_of(settings)
    asked, labelled = given_pairs(settings)
    blocking: Facts | None = None
    if asked is not None:
        questions = asked
    else:
        with given_with("--attributes" if settings.attributes else "--left"):
            questions = candidates(
                records.left,
                records.right,
                records.attributes,
                neighbours=settings.neighbours,
                minimum=settings.minimum_similarity,
            )
        if not len(questions):
            raise BadInput(
                f"--minimum-similarity: no two records are as alike as {settings.minimum_similarity:g}; give a lower one"
            )
        report = blocking_report(questions, records.left, records.right, labelled)
        blocking = {
            "candidates": report.candidates,
            "possible": report.possible,
            "reduction": report.reduction,
            "known_matches": report.matches,
            "recall": report.recall,
        }
    pool, shared = questions, 0
    if labelled is not None:
        pool = labelled_pool(asked, labelled)
        shared = len(labelled) - len(pool)
    _save(run / QUESTIONS, questions)
    _save(run / POOL, pool)
    return {
        "files": [QUESTIONS, POOL],
        "questions": len(questions),
        "pool": len(pool),
        "pool_questions": shared,
        "blocking": blocking,
        "attributes": records.attributes,
        "records": [len(records.left), len(records.right) if records.right else None],
    }


def features(run: Path, settings: BatcherSettings, pairs: Facts) -> Facts:
    """What makes two pairs alike, of the questions and of the pool."""
    records = records_of(settings)
    for name, path in ((QUESTIONS, QUESTION_FEATURES), (POOL, POOL_FEATURES)):
        found = load_pairs(run / name)
        if settings.features == "embedding":
            values = embedding_features(
                records.texts(found), lambda texts: encode_texts(_encoder(run, settings), texts)
            )
        else:
            values = pair_features(
                records.left,
                records.other,
                found,
                records.attributes,
                measure=settings.features,
                merged=settings.merged,
            )
        save_array(run / path, values)
    return {"files": [QUESTION_FEATURES, POOL_FEATURES]}


def _encoder(run: Path, settings: BatcherSettings) -> EncoderSpec:
    if settings.encoder != "lsa":
        return EncoderSpec(settings.encoder)
    if not (run / LSA).exists():
        records = records_of(settings)
        LSAEncoder.fit(records.texts(load_pairs(run / QUESTIONS)), 256, settings.seed).save(run / LSA)
    return EncoderSpec(str(run / LSA))


def select(run: Path, settings: BatcherSettings, pairs: Facts, features: Facts) -> Facts:
    """Batches of all questions, and the demonstrations: which to label, and which to show with each batch."""
    questions, pool = load_array(run / QUESTION_FEATURES), load_array(run / POOL_FEATURES)
    chosen, batches = prompts_of(
        settings, questions, pool, records_of(settings).texts(load_pairs(run / POOL))
    )
    sample = np.zeros(0, dtype=np.int64)
    if settings.judge == "routed":
        # At random, and none that the matcher learns from: else nothing follows for the questions.
        rest = np.setdiff1d(np.arange(len(pool)), chosen.labelled)
        order = generator(settings.seed, "routing sample").permutation(rest)
        sample = np.sort(order[: settings.routing_labels])
    write_json(
        run / SELECTION,
        {
            "labelled": chosen.labelled.tolist(),
            "sample": sample.tolist(),
            "batches": [rows.tolist() for rows in batches],
            "shown": [rows.tolist() for rows in chosen.batches],
            "uncovered": chosen.uncovered.tolist(),
        },
    )
    return {
        "files": [SELECTION],
        "labels": len(chosen.labelled) + len(sample),
        "demonstrations": len(chosen.labelled),
        "batches": len(batches),
        "uncovered": len(chosen.uncovered),
        "beyond": len(chosen.beyond),
        "threshold": chosen.threshold,
    }


def prompts_of(
    settings: BatcherSettings, questions: np.ndarray, pool: np.ndarray, texts: list[str]
) -> tuple[Selection, list[np.ndarray]]:
    """Batches of questions, and the demonstrations out of a pool for each.

    Args:
        questions, pool: features (q, d) and (p, d).
        texts: of the pool's pairs; their length is what showing one costs.
    """
    seed = integer(settings.seed, "batches")
    clusters = cluster_questions(questions, pool, seed=seed)
    batches = make_batches(settings.batching, clusters, settings.batch_size, seed=seed)
    chosen = select_demonstrations(
        settings.selection,
        questions,
        pool,
        batches,
        weights=estimated_tokens(texts).astype(np.float64),
        count=settings.demonstrations,
        budget=settings.label_budget,
        # A smaller cover than the greedy one saves labels, and the matcher learns less from it (tests/bench/batcher.md).
        rounds=None if settings.judge == "llm" else 0,
        seed=seed,
    )
    if settings.label_budget is not None and len(chosen.labelled) > settings.label_budget:
        raise BadInput(
            f"--selection {settings.selection} wants {len(chosen.labelled):,} labels, more than --label-budget "
            f"{settings.label_budget:,}; take covering, which keeps to a budget"
        )
    return chosen, batches


def load_selection(run: Path) -> Facts:
    """What `select` has written."""
    found: Facts = read_json(run / SELECTION)
    return found


def _save(path: Path, found: Pairs) -> None:
    labels = [None] * len(found) if found.labels is None else found.labels.tolist()
    rows = zip(found.left.tolist(), found.right.tolist(), labels, strict=True)
    write_table(path, ({"left": left, "right": right, "label": label} for left, right, label in rows), _ROWS)
