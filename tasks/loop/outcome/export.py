"""The kept pairs in the formats that trainers read, with their lineage and a dataset card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.loop.outcome.card import dataset_card
from tasks.storage.tables import atomic_path, iterate_rows, write_json, write_text

KEPT = "kept"

Row = Mapping[str, Any]

FORMATS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "messages": lambda pair: {
        "id": pair["id"],
        "messages": [
            {"role": "user", "content": pair["question"]},
            {"role": "assistant", "content": pair["answer"]},
        ],
    },
    "sharegpt": lambda pair: {
        "id": pair["id"],
        "conversations": [
            {"from": "human", "value": pair["question"]},
            {"from": "gpt", "value": pair["answer"]},
        ],
    },
    "alpaca": lambda pair: {
        "id": pair["id"],
        "instruction": pair["question"],
        "input": "",
        "output": pair["answer"],
    },
}

# How LLaMA-Factory finds its way in each file (its data/README.md, "Alpaca", "Sharegpt" and "OpenAI" formats).
_LLAMA_FACTORY: dict[str, dict[str, Any]] = {
    "messages": {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
    "sharegpt": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    },
    "alpaca": {
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    },
}


def export_pairs(
    pairs: Path,
    export: Path,
    *,
    name: str,
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
    documents: Path | None = None,
) -> int:
    """Write messages.jsonl, sharegpt.jsonl, alpaca.jsonl, lineage.parquet, dataset_info.json and README.md.

    Args:
        pairs: a Parquet table of schema PAIRS; rows whose decision is "kept" are exported, in its order.
        export: folder to write.
        name: of the run; names the dataset.
        settings, summary: of the run, for the card.
        documents: the run's documents.parquet, whose metadata may name licences; beside `pairs` when not given.

    Returns:
        Number of pairs.
    """
    documents = documents or pairs.with_name("documents.parquet")
    counts = {}
    for format, record in FORMATS.items():
        counts[format] = _write_lines(export / f"{format}.jsonl", map(record, _kept(pairs)))
    rows = counts["messages"]
    _write_lineage(pairs, export / "lineage.parquet")
    entries = {
        f"{name}_{format}": {"file_name": f"{format}.jsonl", **_LLAMA_FACTORY[format]} for format in FORMATS
    }
    write_json(export / "dataset_info.json", entries)
    sources = pair_sources(pairs, documents)
    write_text(export / "README.md", dataset_card(name, rows, sources, dict(settings), dict(summary)))
    return rows


def pair_sources(pairs: Path, documents: Path) -> list[dict[str, Any]]:
    """Per source and licence, how many documents gave how many pairs; most pairs first.

    A licence is the field "license" or "licence" of a document's metadata; None where there is none.
    """
    pairs_of: dict[str, int] = {}
    for row in _kept(pairs, ["document_id"]):
        pairs_of[row["document_id"]] = pairs_of.get(row["document_id"], 0) + 1
    found: dict[tuple[str | None, str | None], list[int]] = {}
    if documents.exists():
        for row in iterate_rows(documents, ["id", "source", "metadata"]):
            if row["id"] in pairs_of:
                counted = found.setdefault((row["source"], _licence(row["metadata"])), [0, 0])
                counted[0] += 1
                counted[1] += pairs_of[row["id"]]
    table = [
        {"source": source, "licence": licence, "documents": counted[0], "pairs": counted[1]}
        for (source, licence), counted in found.items()
    ]
    return sorted(table, key=lambda row: (-row["pairs"], str(row["source"]), str(row["licence"])))


def _licence(metadata: str | None) -> str | None:
    try:
        fields = json.loads(metadata or "{}")
    except ValueError:
        return None
    value = (fields.get("license") or fields.get("licence")) if isinstance(fields, dict) else None
    return str(value) if value else None


def _kept(pairs: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    wanted = columns or ["id", "question", "answer"]
    return (row for row in iterate_rows(pairs, [*wanted, "decision"]) if row["decision"] == KEPT)


def _write_lines(path: Path, records: Iterator[dict[str, Any]]) -> int:
    rows = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            rows += 1
    return rows


def _write_lineage(pairs: Path, path: Path) -> None:
    """The kept rows without their text: where each pair is from, and why it was read."""
    text = {"question", "answer"}
    columns = [column for column in pq.read_schema(pairs).names if column not in text]
    table = pq.read_table(pairs, columns=columns, filters=[("decision", "==", KEPT)])
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
