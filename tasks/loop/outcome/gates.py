"""Great Expectations after the loop: pairs and export must be what those who train on them take them for.

What Great Expectations sees is ids and measures (lengths, whether a span fits), never the text: that bounds the
memory, and its pages do not escape what they show.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.loop.outcome.export import FORMATS, KEPT
from tasks.run.expectations import frame_of, unique_ids, validate
from tasks.storage.tables import iterate_rows

DECISIONS = (KEPT, "rejected")


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
            *unique_ids(gxe),
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
            *unique_ids(gxe),
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
