"""What a finished run shows: the tables of its folder, added up for a reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tasks.storage.tables import iterate_rows, read_json, read_rows

_CONTEXT = 150  # characters shown on each side of a span
_SPAN = 640  # longest span shown whole
_QUESTION = 480  # longest question shown whole
_HEAT_COLUMNS = 40
_NUMBERS = ("cluster", "round", "x", "y", "extracted", "tokens", "pairs")

# Keys of summary.json that the page asks for; one that a run does not have is shown as absent.
FIGURES = (
    "documents", "extracted_documents", "tokens_total", "tokens_read", "cost", "cost_expected", "cost_everything", "price", "pairs", "extractor", "judged",
    "transport", "transport_heldout", "nll_before", "nll_after", "exact_match_before", "exact_match_after", "strategy",
    "seed", "rounds", "comparison", "reference", "seconds", "versions", "test_examples",
    "amounts",
)  # fmt: skip


class Corpus:
    """The columns of documents.parquet that the report needs, as arrays; never the text."""

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path, columns=[*_NUMBERS, "source"])
        missing = {
            "cluster": -1,
            "round": -1,
            "x": np.nan,
            "y": np.nan,
            "extracted": False,
            "tokens": 0,
            "pairs": 0,
        }
        columns = {
            name: table[name].combine_chunks().fill_null(missing[name]).to_numpy(zero_copy_only=False)
            for name in _NUMBERS
        }
        self.cluster, self.round = columns["cluster"], columns["round"]
        self.x, self.y = columns["x"].astype(np.float64), columns["y"].astype(np.float64)
        self.extracted = columns["extracted"].astype(bool)
        self.tokens, self.pairs = columns["tokens"].astype(np.int64), columns["pairs"].astype(np.int64)
        encoded = table["source"].combine_chunks().dictionary_encode()
        self.sources = [str(value) for value in encoded.dictionary.to_pylist()]
        self.source = np.asarray(encoded.indices.fill_null(-1))


def load_terms(run: Path, arms: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Readable terms per cluster: of every cluster where the run kept them, of those pulled in any case."""
    path = run / "stages" / "terms.json"
    listed = read_json(path) if path.exists() else []
    terms = {
        cluster: words if isinstance(words, str) else ", ".join(words) for cluster, words in enumerate(listed)
    }
    return terms | {arm["arm"]: arm["terms"] for arm in arms if arm["arm"] is not None and arm["terms"]}


def clusters(
    corpus: Corpus, arms: Sequence[Mapping[str, Any]], terms: Mapping[int, str], price: float | None
) -> list[dict[str, Any]]:
    """One row per cluster: what is in it, what was read, what that gave and cost; most pairs first.

    Args:
        arms: rows of arms.parquet in the order of the pulls.
        terms: readable terms of the clusters.
        price: US dollars of a million tokens; None where it is not known, and with it no cost.
    """
    inside = corpus.cluster >= 0
    count = int(corpus.cluster.max(initial=-1)) + 1
    read = inside & corpus.extracted

    def per_cluster(rows: np.ndarray, weights: np.ndarray | None = None) -> list[float]:
        chosen = None if weights is None else weights[rows]
        totals: list[float] = np.bincount(corpus.cluster[rows], weights=chosen, minlength=count).tolist()
        return totals

    size, documents = per_cluster(inside), per_cluster(read)
    tokens, pairs = per_cluster(read, corpus.tokens), per_cluster(read, corpus.pairs)
    latest = {arm["arm"]: arm for arm in arms}
    sources = _sources_of_clusters(corpus)
    found = [
        {
            "cluster": cluster,
            "terms": terms.get(cluster, ""),
            "sources": sources.get(cluster, []),
            "size": int(size[cluster]),
            "read": int(documents[cluster]),
            "pulls": latest.get(cluster, {}).get("pulls") or 0,
            "pairs": int(pairs[cluster]),
            "yield": pairs[cluster] / documents[cluster] if documents[cluster] else None,
            "reward": latest.get(cluster, {}).get("reward"),
            "cost": None if price is None else tokens[cluster] * price / 1e6,
        }
        for cluster in range(count)
        if size[cluster]
    ]
    return sorted(
        found, key=lambda row: (-row["pairs"], -(row["reward"] or 0.0), -row["read"], row["cluster"])
    )


def _sources_of_clusters(corpus: Corpus) -> dict[int, list[tuple[str, float]]]:
    """The two commonest sources of each cluster with their shares; a cluster without stated sources is left out."""
    stated = (corpus.cluster >= 0) & (corpus.source >= 0)
    names = len(corpus.sources)
    keys, counts = np.unique(
        corpus.cluster[stated].astype(np.int64) * names + corpus.source[stated], return_counts=True
    )
    known = np.bincount(corpus.cluster[stated])
    found: dict[int, list[tuple[str, float]]] = {}
    for index in np.argsort(-counts, kind="stable").tolist():
        cluster, source = divmod(int(keys[index]), names)
        if len(found.setdefault(cluster, [])) < 2:
            found[cluster].append((corpus.sources[source], float(counts[index] / known[cluster])))
    return found


def heat(corpus: Corpus, order: Sequence[int], rows: int = 24) -> dict[str, Any]:
    """Documents read per cluster and round, for the `rows` clusters that were read most.

    Args:
        order: clusters, the one to show first first.

    Returns:
        columns (labels of rounds, several rounds in one where there are many), warm_up (whether the first is it),
        rows of (cluster, counts), most (the largest count), left_out (clusters read but not shown).
    """
    read = corpus.extracted & (corpus.cluster >= 0) & (corpus.round >= 0)
    cluster, round = corpus.cluster[read].astype(np.int64), corpus.round[read].astype(np.int64)
    first, last = int(round.min(initial=1)), int(round.max(initial=1))
    width = max(1, -(-(last + 1 - first) // _HEAT_COLUMNS))
    starts = range(first, last + 1, width)
    counts = np.zeros((int(corpus.cluster.max(initial=-1)) + 1, len(starts)), dtype=np.int64)
    np.add.at(counts, (cluster, (round - first) // width), 1)
    totals = counts.sum(axis=1)
    shown = {number for number in np.argsort(-totals, kind="stable")[:rows].tolist() if totals[number]}
    spans = [(start, min(last, start + width - 1)) for start in starts]
    return {
        "columns": [str(start) if start == end else f"{start}–{end}" for start, end in spans],
        "warm_up": first == 0,
        "rows": [(number, counts[number].tolist()) for number in order if number in shown],
        "most": int(counts.max(initial=0)),
        "left_out": int((totals > 0).sum()) - len(shown),
    }


def drops(path: Path, examples: int = 3) -> list[dict[str, Any]]:
    """What was dropped: a row per stage and reason with its count and first ids; largest first within a stage."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for reject in iterate_rows(path):
        key = (reject["stage"] or "", reject["reason"] or "")
        row = found.setdefault(key, {"stage": key[0], "reason": key[1], "count": 0, "examples": []})
        row["count"] += 1
        if len(row["examples"]) < examples:
            row["examples"].append({"id": reject["id"] or "", "detail": reject["detail"] or ""})
    stages = list(dict.fromkeys(stage for stage, _ in found))
    return sorted(found.values(), key=lambda row: (stages.index(row["stage"]), -row["count"], row["reason"]))


def samples(
    run: Path, best: Sequence[int], arms: Sequence[Mapping[str, Any]], near: int = 6, far: int = 2
) -> list[dict[str, Any]]:
    """Pairs to look at, each with the place in its document it came from and why that document was read.

    Args:
        best: clusters, best first; the pair most similar to the reference is taken from each of the first `near`.
        far: as many of the kept pairs least similar to the reference, to show what the selection also lets in.
    """
    columns = ["id", "cluster", "similarity"]
    kept = [
        row for row in read_rows(run / "pairs.parquet", [*columns, "decision"]) if row["decision"] == "kept"
    ]
    ranked = sorted(
        kept, key=lambda row: (-(row["similarity"] if row["similarity"] is not None else -1), row["id"])
    )
    nearest = {row["cluster"]: row["id"] for row in reversed(ranked)}
    chosen = {nearest[cluster]: "near" for cluster in [one for one in best if one in nearest][:near]}
    others = (row["id"] for row in reversed(ranked) if row["id"] not in chosen)
    chosen |= dict.fromkeys(list(islice(others, far)), "far")
    pairs = {row["id"]: row for row in _rows_with(run / "pairs.parquet", "id", chosen, None)}
    ids = {row["document_id"] for row in pairs.values()}
    texts = {
        row["id"]: row["text"] for row in _rows_with(run / "documents.parquet", "id", ids, ["id", "text"])
    }
    pulls = {arm["pull"]: arm for arm in arms}
    return [
        {
            **pairs[name],
            "kind": kind,
            "question": _cut(pairs[name]["question"] or "", _QUESTION, _QUESTION * 3 // 4),
            "arm": pulls.get(pairs[name]["pull"]),
            **_context(texts.get(pairs[name]["document_id"]) or "", pairs[name]["start"], pairs[name]["end"]),
        }
        for name, kind in chosen.items()
    ]


def _rows_with(path: Path, column: str, values: Any, columns: list[str] | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(
        path, columns=columns, filters=[(column, "in", sorted(values))] if values else [(column, "==", None)]
    ).to_pylist()
    return rows


def _context(text: str, start: int, end: int) -> dict[str, Any]:
    """The span and the words around it; the middle of a long span is left out."""
    span, before, after = text[start:end], text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
    span = _cut(span, _SPAN, _SPAN // 4)
    if start > _CONTEXT:
        before = "… " + re.sub(r"^\S*\s+", "", before)
    if end + _CONTEXT < len(text):
        after = re.sub(r"\s+\S*$", "", after) + " …"
    return {"before": _tight(before), "span": span, "after": _tight(after)}


def _cut(text: str, longest: int, end: int) -> str:
    """The text without its middle if it is long: `longest` characters, of which the last `end` are its end."""
    return text if len(text) <= longest else f"{text[: longest - end].rstrip()} […] {text[-end:].lstrip()}"


def _tight(text: str) -> str:
    return re.sub(r"\n\s*\n", "\n", text)


def warmup_yield(corpus: Corpus) -> float | None:
    """Pairs per document among the random documents of the warm-up: what reading everything would give."""
    first = corpus.extracted & (corpus.round == 0)
    return float(corpus.pairs[first].mean()) if first.any() else None


def stage_seconds(seconds: Mapping[str, float] | None) -> list[tuple[str, float]]:
    """Stages of the run with the seconds they took, longest first; those that took no tenth of one are left out."""
    stages = [(name, took) for name, took in (seconds or {}).items() if name != "all" and took >= 0.05]
    return sorted(stages, key=lambda stage: (-stage[1], stage[0]))


def load_summary(run: Path) -> dict[str, Any]:
    """summary.json, with None for what the page asks for and the run does not have."""
    summary: dict[str, Any] = read_json(run / "summary.json")
    return {**dict.fromkeys(FIGURES), **summary}
