"""The dataset card of an export: what the Hugging Face hub reads, and what a person needs to know."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tasks.page.templates import without_places

# Licences the hub knows by an identifier of their own, among those that corpora commonly carry.
_KNOWN_LICENCES = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0",
    "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "odbl", "odc-by",
    "pddl", "unlicense",
}  # fmt: skip

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(
    name: str,
    rows: int,
    sources: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> str:
    """README.md of an export: YAML front matter for the hub, then provenance.

    Args:
        name: of the run.
        rows: exported pairs.
        sources: rows of source, licence, documents and pairs.
        settings, summary: of the run.
    """
    front = yaml.safe_dump(_front_matter(name, rows, sources), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + _body(name, rows, sources, settings, summary)


def hub_licences(licences: Sequence[str | None]) -> list[str]:
    """Identifiers of the hub for licences as corpora write them: "CC BY-SA 4.0" is cc-by-sa-4.0.

    Returns:
        Sorted identifiers; "other" stands for what the hub has no name for, "unknown" for what says nothing.
    """
    found = set()
    for licence in licences:
        slug = re.sub(r"[\s_]+", "-", (licence or "").strip().lower()).replace("cc-zero", "cc0")
        slug = re.sub(r"^(cc0)(-universal)?(?=-1\.0|$).*", "cc0-1.0", slug)
        found.add("unknown" if not slug else slug if slug in _KNOWN_LICENCES else "other")
    return sorted(found) or ["unknown"]


def _front_matter(name: str, rows: int, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    licences = hub_licences([row["licence"] for row in sources])
    return {
        "pretty_name": name,
        "license": licences[0] if len(licences) == 1 else licences,
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [next((label for bound, label in _SIZES if rows < bound), "1M<n<10M")],
        "tags": ["sluice", "instruction-tuning", "data-selection"],
        "configs": [
            {"config_name": "messages", "data_files": "messages.jsonl", "default": True},
            {"config_name": "sharegpt", "data_files": "sharegpt.jsonl"},
            {"config_name": "alpaca", "data_files": "alpaca.jsonl"},
            {"config_name": "lineage", "data_files": "lineage.parquet"},
        ],
    }


def _body(
    name: str,
    rows: int,
    sources: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> str:
    facts = [
        ("Strategy", summary.get("strategy") or settings.get("strategy")),
        ("Seed", summary.get("seed", settings.get("seed"))),
        ("Budget", _percent(settings.get("budget"), "of the documents")),
        ("Documents read", _of(summary.get("extracted_documents"), summary.get("documents"))),
        ("Tokens read", _of(summary.get("tokens_read"), summary.get("tokens_total"))),
        ("Extractor", settings.get("extractor")),
        ("Encoder", settings.get("encoder")),
        ("Distance to the held-out target (optimal transport, lower is nearer)", _decimal(summary.get("transport_heldout"))),
        ("Student's loss on the held-out target, before and after", _before_after(summary)),
    ]  # fmt: skip
    provenance = "\n".join(
        f"| {label} | {cell(without_places(str(value)))} |"
        for label, value in facts
        if value not in (None, "")
    )
    origin = "\n".join(
        f"| {cell(row['source'] or 'not stated')} | {cell(row['licence'] or 'not stated')} | {row['documents']:,} | {row['pairs']:,} |"
        for row in sources
    )
    return f"""# {cell(name)}

{rows:,} question-answer pairs. Sluice chose which documents of a larger corpus to extract them from, and which of the pairs
to keep, by what serves a target task. Each pair comes from one place in one document; its lineage says which.

## Load

```python
from datasets import load_dataset

pairs = load_dataset("json", data_files="messages.jsonl", split="train")
```

`messages.jsonl` holds chat messages, `sharegpt.jsonl` and `alpaca.jsonl` the same pairs in those formats.
`dataset_info.json` describes all three to LLaMA-Factory: pass this folder as `dataset_dir`.

## Provenance

| | |
|---|---|
{provenance}

| Source | Licence | Documents | Pairs |
|---|---|---:|---:|
{origin}

The licence of a pair is the licence of its document. Where none is stated, find out before you publish.

## Lineage

Every row carries an `id`. `lineage.parquet` has one row for each, with the same `id`:

- `document_id`, `start`, `end`: the answer comes from characters `start` to `end` of that document's text;
- `extractor`, `rule`, `prompt_hash`: what extracted it;
- `cluster`, `round`, `pull`, `arm_reward`: the cluster the document belongs to, the round and pull that read it
  (round 0 is the random warm-up), and the cluster's reward after that pull;
- `similarity`: cosine to the nearest reference example of the target.
"""


def cell(value: Any) -> str:
    """Text that is safe in a Markdown table: one line, no markup."""
    line = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", line)


def _percent(share: float | None, of: str) -> str | None:
    return None if share is None else f"{share:.1%} {of}"


def _of(part: int | None, whole: int | None) -> str | None:
    if part is None:
        return None
    return f"{part:,} of {whole:,} ({part / whole:.1%})" if whole else f"{part:,}"


def _decimal(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _before_after(summary: Mapping[str, Any]) -> str | None:
    before, after = summary.get("nll_before"), summary.get("nll_after")
    return None if before is None or after is None else f"{before:.3f}, {after:.3f} (nats per answer token)"
