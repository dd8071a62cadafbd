"""What a run leaves: predictions, explanations, clusters, figures, and the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.llm.request import Request, read_reply
from tasks.llm.settings import requests_path
from tasks.llm.store import RequestStore
from tasks.match.clusters import entities, one_to_one
from tasks.match.evaluate import score
from tasks.match.read import LEFT, RIGHT, Pairs
from tasks.resolve.judge import PROBABILITIES, VERDICTS
from tasks.resolve.label import load_labels
from tasks.resolve.prepare import (
    POOL,
    QUESTION_FEATURES,
    QUESTIONS,
    load_pairs,
    load_selection,
)
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.routing import Band
from tasks.run.folder import versions
from tasks.storage.arrays import load_array
from tasks.storage.sheets import csv_of
from tasks.storage.tables import read_rows, write_json, write_table, write_text

Facts = dict[str, Any]

PREDICTIONS, EXPLANATIONS, CLUSTERS = "predictions.csv", "explanations.parquet", "clusters.csv"
BY_LABEL, BY_MATCHER, BY_MODEL, UNDECIDED = "label", "matcher", "llm", "undecided"
_EXPLANATIONS = pa.schema(
    [
        (LEFT, pa.string()),
        (RIGHT, pa.string()),
        ("match", pa.bool_()),
        ("truth", pa.bool_()),  # null where it is not known
        ("decided_by", pa.string()),
        ("probability", pa.float64()),
        ("matcher_probability", pa.float64()),
        ("similarities", pa.string()),  # JSON: of each attribute, by which pairs are alike or not
        ("demonstrations", pa.string()),  # JSON: [left id, right id, label] of each that was shown
        ("answer", pa.string()),  # the model's whole answer to the batch, as it came
        ("request", pa.string()),
        ("reason", pa.string()),
    ]
)


def tables(run: Path, settings: BatcherSettings, matched: Facts, judged: Facts, labelled: Facts) -> Facts:
    """Decide every question, and write what was decided, by whom and why."""
    records = records_of(settings)
    questions, pool = load_pairs(run / QUESTIONS), load_pairs(run / POOL)
    known = np.asarray(load_array(run / PROBABILITIES))
    probabilities, matches = known.copy(), known >= settings.threshold
    decided_by = np.full(len(questions), BY_MATCHER, dtype=object)
    verdicts = {row["question"]: row for row in (read_rows(run / VERDICTS) if judged["asked"] else [])}
    if settings.judge == "routed":
        matches = Band(matched["low"], matched["high"], 0).decisions(known) == 1
    for row, verdict in verdicts.items():
        decided_by[row] = UNDECIDED if verdict["match"] is None else BY_MODEL
        matches[row] = bool(verdict["match"])
        if verdict["match"] is not None:
            probabilities[row] = float(verdict["match"])
    for row, label in _labelled_questions(run, questions, pool):
        decided_by[row], matches[row], probabilities[row] = BY_LABEL, bool(label), float(label)
    if settings.resolve == "one-to-one":
        rows = np.flatnonzero(matches)
        kept = rows[one_to_one(questions.take(rows), np.maximum(probabilities[rows], 1e-6))]
        matches = np.zeros(len(questions), dtype=bool)
        matches[kept] = True
    left, right = records.left.ids, records.other.ids
    write_text(
        run / PREDICTIONS,
        csv_of(
            [LEFT, RIGHT, "probability", "match", "decided_by"],
            (
                [left[a], right[b], f"{probability:.4f}", int(match), by]
                for a, b, probability, match, by in zip(
                    questions.left.tolist(),
                    questions.right.tolist(),
                    probabilities.tolist(),
                    matches.tolist(),
                    decided_by.tolist(),
                    strict=True,
                )
            ),
        ),
    )
    files = [PREDICTIONS, EXPLANATIONS]
    write_table(
        run / EXPLANATIONS,
        _explanations(run, settings, questions, pool, matches, decided_by, probabilities, known, verdicts),
        _EXPLANATIONS,
    )
    clusters = None
    if not settings.pairs:
        clusters = _write_clusters(run / CLUSTERS, settings, questions.take(np.flatnonzero(matches)))
        files.append(CLUSTERS)
    quality: Facts = {}
    if questions.labels is not None:
        found = score(matches, questions.labels)
        quality = {"precision": found.precision, "recall": found.recall, "f1": found.f1}
        quality |= {"false_matches": len(found.false_matches), "missed_matches": len(found.missed_matches)}
    return {
        "files": files,
        "matches": int(matches.sum()),
        "decided_by": dict(Counter(decided_by.tolist())),
        "clusters": clusters,
        **quality,
    }


def summarise(
    settings: BatcherSettings,
    *,
    pairs: Facts,
    selected: Facts,
    labelled: Facts,
    matched: Facts,
    judged: Facts,
    tables: Facts,
) -> Facts:
    """The figures of a run, machine-readable."""
    quality: Facts = {
        name: tables[name]
        for name in ("precision", "recall", "f1", "false_matches", "missed_matches")
        if name in tables
    }
    labels_cost = labelled["labels"] * settings.label_price
    return {
        "judge": settings.judge,
        "batching": settings.batching,
        "selection": settings.selection,
        "seed": settings.seed,
        "records": pairs["records"],
        "attributes": pairs["attributes"],
        "questions": pairs["questions"],
        "pool": pairs["pool"],
        "blocking": pairs["blocking"],
        "matches": tables["matches"],
        "decided_by": tables["decided_by"],
        "undecided": judged["undecided"],
        "asked": judged["asked"],
        "labels_used": labelled["labels"],
        "demonstrations": selected["demonstrations"],
        "uncovered": selected["uncovered"],
        "batches": judged["batches"] if settings.judge != "matcher" else selected["batches"],
        "tokens_in": judged.get("tokens_in", 0),
        "tokens_cached": judged.get("tokens_cached", 0),
        "tokens_out": judged.get("tokens_out", 0),
        "requests": judged.get("requests", 0),
        "retries": judged.get("retries", 0),
        "cost": judged["cost"] + labels_cost,
        "cost_model": judged["cost"],
        "cost_labels": labels_cost,
        "matcher_learnt": matched["learnt"],
        "labels_wanted": matched["labels_wanted"] if settings.judge == "routed" else None,
        "clusters": tables["clusters"],
        **quality,
        "versions": versions(),
    }


def _labelled_questions(run: Path, questions: Pairs, pool: Pairs) -> Iterator[tuple[int, int]]:
    """Questions whose own label was given, because they were demonstrations, and that label."""
    selection = load_selection(run)
    rows = [*selection["labelled"], *selection["sample"]]
    ends = list(zip(pool.left[rows].tolist(), pool.right[rows].tolist(), strict=True))
    given = dict(zip(ends, load_labels(run, rows).tolist(), strict=True))
    for row, pair in enumerate(zip(questions.left.tolist(), questions.right.tolist(), strict=True)):
        if pair in given:
            yield row, given[pair]


def _explanations(
    run: Path,
    settings: BatcherSettings,
    questions: Pairs,
    pool: Pairs,
    matches: np.ndarray,
    decided_by: np.ndarray,
    probabilities: np.ndarray,
    known: np.ndarray,
    verdicts: dict[int, Facts],
) -> Iterator[Facts]:
    records = records_of(settings)
    left, right = records.left.ids, records.other.ids
    alike = load_array(run / QUESTION_FEATURES)
    names = ["all attributes"] if settings.merged else records.attributes
    answers = _answers(settings, [row["request"] for row in verdicts.values()])
    shown_rows = sorted({row for verdict in verdicts.values() for row in verdict["shown"]})
    labels = dict(zip(shown_rows, load_labels(run, shown_rows).tolist(), strict=True))
    for row in range(len(questions)):
        verdict = verdicts.get(row, {})
        similarities = (
            {}
            if settings.features == "embedding"
            else dict(zip(names, np.round(alike[row], 3).tolist(), strict=True))
        )
        yield {
            LEFT: left[questions.left[row]],
            RIGHT: right[questions.right[row]],
            "match": bool(matches[row]),
            "truth": None if questions.labels is None else bool(questions.labels[row]),
            "decided_by": decided_by[row],
            "probability": float(probabilities[row]),
            "matcher_probability": float(known[row]),
            "similarities": json.dumps(similarities, ensure_ascii=False),
            "demonstrations": json.dumps(
                [[left[pool.left[at]], right[pool.right[at]], labels[at]] for at in verdict.get("shown", [])]
            ),
            "answer": answers.get(verdict.get("request", ""), ""),
            "request": verdict.get("request", ""),
            "reason": verdict.get("reason", ""),
        }


def _answers(settings: BatcherSettings, keys: Sequence[str]) -> dict[str, str]:
    """The model's answers by request, out of the store."""
    wanted = [key for key in dict.fromkeys(keys) if key]
    if not wanted:
        return {}
    # Nothing is stored that could not be read.
    asked = Request(settings.model, (), settings.parameters())
    with RequestStore(requests_path(settings)) as replies:
        return {key: read_reply(raw, asked).text for key, raw in replies.get_many(wanted).items()}


def _write_clusters(path: Path, settings: BatcherSettings, matched: Pairs) -> Facts:
    """Every record with the number of its entity, the first record's place. Returns how many there are, and of what size."""
    records = records_of(settings)
    size = len(records.left)
    found = entities(matched, size, len(records.right) if records.right else None)
    ids = [("left", id) for id in records.left.ids] + [
        ("right", id) for id in (records.right.ids if records.right else ())
    ]
    write_text(
        path,
        csv_of(
            ["cluster", "table", "id"],
            ([int(found[row]), *ids[row]] for row in np.argsort(found, kind="stable").tolist()),
        ),
    )
    sizes = Counter(np.bincount(found).tolist())
    sizes.pop(0, None)
    return {
        "entities": len(np.unique(found)),
        "sizes": {str(size): count for size, count in sorted(sizes.items())},
    }


def save_summary(run: Path, summary: Facts) -> None:
    write_json(run / "summary.json", summary)
