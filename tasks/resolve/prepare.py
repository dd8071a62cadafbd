"""Before anybody is asked: the questions, the pool of demonstrations, and what is shown with which batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.match.batching import cluster_questions, make_batches
from tasks.match.blocking import blocking_report, candidates
from tasks.match.demonstrations import Selection, select_demonstrations
from tasks.match.features import embedding_features, pair_features
from tasks.match.read import Pairs, read_pairs
from tasks.match.serialise import estimated_tokens
from tasks.records import BadInput
from tasks.resolve.records import records_of
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
    found = [
        read_pairs(path, records.left, records.right, labelled=True)
        for path in dict.fromkeys(settings.labels)
    ]
    labelled = _unique(_joined(found)) if found else None
    blocking: Facts | None = None
    if settings.pairs:
        questions = read_pairs(settings.pairs, records.left, records.right)
    else:
        questions = candidates(
            records.left,
            records.right,
            records.attributes,
            neighbours=settings.neighbours,
            minimum=settings.minimum_similarity,
        )
        if not len(questions):
            raise BadInput(
                f"no two records are as alike as --minimum-similarity {settings.minimum_similarity:g}; give a lower one"
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
        asked = (
            set(zip(questions.left.tolist(), questions.right.tolist(), strict=True))
            if settings.pairs
            else set()
        )
        own = [
            row
            for row, pair in enumerate(zip(labelled.left.tolist(), labelled.right.tolist(), strict=True))
            if pair not in asked
        ]
        pool, shared = labelled.take(np.array(own, dtype=np.int64)), len(labelled) - len(own)
        if not len(pool):
            raise BadInput(
                "--labels: all of its pairs are among --pairs; give labelled pairs that are not to be decided"
            )
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


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.labels for part in parts if part.labels is not None]),
    )


def _unique(found: Pairs) -> Pairs:
    """Each pair once.

    Raises:
        BadInput: a pair has two labels.
    """
    assert found.labels is not None
    first: dict[tuple[int, int], int] = {}
    for row, pair in enumerate(zip(found.left.tolist(), found.right.tolist(), strict=True)):
        before = first.setdefault(pair, row)
        if found.labels[before] != found.labels[row]:
            raise BadInput(
                "--labels: a pair of records is a match in one line and none in another; make its labels agree"
            )
    return found.take(np.array(list(first.values()), dtype=np.int64))
