"""Great Expectations at the seams: documents, vectors, pairs and export must be what the next stage takes them for.

What Great Expectations sees is ids and measures (lengths, norms, whether a span fits), never the text: that bounds the
memory, and its pages do not escape what they show.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.run.expectations import GateFailed, frame_of, validate
from tasks.run.export import FORMATS, KEPT
from tasks.run.tables import iterate_rows

__all__ = ["GateFailed", "check_documents", "check_export", "check_pairs", "check_vectors"]

DECISIONS = (KEPT, "rejected")
NORM_TOLERANCE = 1e-3
_VECTORS = 4096  # held while they are measured


def check_documents(documents: Path, pages: Path) -> None:
    """Ids there and unique, text not empty, at least one token.

    Args:
        documents: a Parquet table with at least the columns id, text and tokens.
        pages: folder of the run's expectations; its docs/index.html shows every check so far.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    def measured() -> Iterator[dict[str, Any]]:
        for row in iterate_rows(documents, ["id", "text", "tokens"]):
            yield {"id": row["id"], "characters": len((row["text"] or "").strip()), "tokens": row["tokens"]}

    validate(
        "documents",
        frame_of(measured(), ["id", "characters", "tokens"]),
        [
            gxe.ExpectTableRowCountToBeBetween(min_value=1),
            *_unique_ids(gxe),
            gxe.ExpectColumnValuesToBeBetween(column="characters", min_value=1),
            gxe.ExpectColumnValuesToNotBeNull(column="tokens"),
            gxe.ExpectColumnValuesToBeBetween(column="tokens", min_value=1),
        ],
        pages,
    )


def check_vectors(vectors: Path, documents: Path, pages: Path) -> None:
    """One vector per document, every number finite, unit length within 1e-3.

    Args:
        vectors: .npy of shape (n, d); read in slices.
        documents: the Parquet table whose n rows they stand for.
        pages: folder of the run's expectations.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    matrix = np.load(vectors, mmap_mode="r", allow_pickle=False)
    ids = [row["id"] for row in iterate_rows(documents, ["id"])]

    def measured() -> Iterator[dict[str, Any]]:
        for first in range(0, len(matrix), _VECTORS):
            slab: np.ndarray = np.asarray(matrix[first : first + _VECTORS], dtype=np.float64)
            finite: np.ndarray = np.all(np.isfinite(slab), axis=1)
            norms = np.linalg.norm(np.where(finite[:, None], slab, 0.0), axis=1)
            for row, (is_finite, norm) in enumerate(
                zip(finite.tolist(), norms.tolist(), strict=True), start=first
            ):
                yield {
                    "id": ids[row] if row < len(ids) else f"row {row}",
                    "finite": int(is_finite),
                    "norm": norm,
                }

    validate(
        "vectors",
        frame_of(measured(), ["id", "finite", "norm"]),
        [
            gxe.ExpectTableRowCountToEqual(value=len(ids)),
            gxe.ExpectColumnValuesToBeInSet(column="finite", value_set=[1]),
            gxe.ExpectColumnValuesToBeBetween(
                column="norm", min_value=1 - NORM_TOLERANCE, max_value=1 + NORM_TOLERANCE
            ),
        ],
        pages,
    )


def check_pairs(pairs: Path, documents: Path, pages: Path) -> None:
    """Ids unique, question and answer not empty, the span inside its document, cluster, round and decision there.

    Args:
        pairs: a Parquet table of schema PAIRS.
        documents: the table its spans point into.
        pages: folder of the run's expectations.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    lengths = {row["id"]: len(row["text"] or "") for row in iterate_rows(documents, ["id", "text"])}

    def measured() -> Iterator[dict[str, Any]]:
        columns = ["id", "document_id", "question", "answer", "start", "end", "cluster", "round", "decision"]
        for row in iterate_rows(pairs, columns):
            length = lengths.get(row["document_id"])
            yield {
                "id": row["id"],
                "document_exists": int(length is not None),
                "document_characters": length,
                "question_characters": len((row["question"] or "").strip()),
                "answer_characters": len((row["answer"] or "").strip()),
                "decision": html.escape(row["decision"]) if row["decision"] is not None else None,
                **{name: row[name] for name in ("start", "end", "cluster", "round")},
            }

    numbers = ("start", "end", "cluster", "round")
    validate(
        "pairs",
        frame_of(
            measured(),
            [
                "id",
                "document_exists",
                "document_characters",
                "question_characters",
                "answer_characters",
                "decision",
                *numbers,
            ],
        ),
        [
            *_unique_ids(gxe),
            gxe.ExpectColumnValuesToBeInSet(column="document_exists", value_set=[1]),
            gxe.ExpectColumnValuesToBeBetween(column="question_characters", min_value=1),
            gxe.ExpectColumnValuesToBeBetween(column="answer_characters", min_value=1),
            *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in (*numbers, "decision")),
            gxe.ExpectColumnValuesToBeBetween(column="start", min_value=0),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="end", column_B="start", ignore_row_if="either_value_is_missing"
            ),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="document_characters",
                column_B="end",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            ),
            gxe.ExpectColumnValuesToBeInSet(column="decision", value_set=list(DECISIONS)),
        ],
        pages,
    )


def check_export(export: Path, pairs: Path, pages: Path) -> None:
    """One row per kept pair in each format, the user's turn before the assistant's, nothing empty.

    Args:
        export: folder with messages.jsonl, sharegpt.jsonl and alpaca.jsonl.
        pairs: the table that was exported.
        pages: folder of the run's expectations.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    kept = {row["id"] for row in iterate_rows(pairs, ["id", "decision"]) if row["decision"] == KEPT}

    def measured() -> Iterator[dict[str, Any]]:
        for name in FORMATS:
            with (export / f"{name}.jsonl").open(encoding="utf-8") as lines:
                for line in lines:
                    record = json.loads(line)
                    roles, question, answer = _turns(name, record)
                    yield {
                        "id": f"{name}: {record['id']}",
                        "pair_kept": int(record["id"] in kept),
                        "roles": html.escape(roles),
                        "question_characters": len(question.strip()),
                        "answer_characters": len(answer.strip()),
                    }

    validate(
        "export",
        frame_of(measured(), ["id", "pair_kept", "roles", "question_characters", "answer_characters"]),
        [
            # Unique rows that are all kept pairs, as many as there are: each kept pair once in each format.
            gxe.ExpectTableRowCountToEqual(value=len(FORMATS) * len(kept)),
            *_unique_ids(gxe),
            gxe.ExpectColumnValuesToBeInSet(column="pair_kept", value_set=[1]),
            gxe.ExpectColumnValuesToBeInSet(column="roles", value_set=["user, assistant"]),
            gxe.ExpectColumnValuesToBeBetween(column="question_characters", min_value=1),
            gxe.ExpectColumnValuesToBeBetween(column="answer_characters", min_value=1),
        ],
        pages,
    )


def _turns(format: str, record: dict[str, Any]) -> tuple[str, str, str]:
    """Roles (joined), question and answer of an exported record."""
    if format == "alpaca":
        return "user, assistant", record["instruction"], record["output"]
    key, role, content = (
        ("messages", "role", "content") if format == "messages" else ("conversations", "from", "value")
    )
    names = {"human": "user", "gpt": "assistant"} if format == "sharegpt" else {}
    turns = record[key]
    roles = ", ".join(names.get(turn[role], turn[role]) for turn in turns)
    return roles, turns[0][content] if turns else "", turns[-1][content] if turns else ""


def _unique_ids(gxe: Any) -> list[Any]:
    return [gxe.ExpectColumnValuesToNotBeNull(column="id"), gxe.ExpectColumnValuesToBeUnique(column="id")]
