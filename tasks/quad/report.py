"""report.html of a run of Quad: which clusters help, how sure that is, what was bought, at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.page.charts import LEVELS, Label, cluster_map, level
from tasks.page.templates import settings_of, templates
from tasks.prepare.documents import read_documents
from tasks.quad.finish import ARMS, SCORES_TABLE
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, read_rows, write_text

Facts = dict[str, Any]

_CLUSTERS, _DOCUMENTS = 40, 5
_BARS = 40
_LABELS = 14
_CHARACTERS = 600


def write_report(run: Path, summary: Facts) -> Path:
    """Write run/report.html. Documents are a stranger's text: everything is escaped."""
    page = templates("tasks.quad").get_template("report.html.j2").render(_content(run, summary))
    path = run / "report.html"
    write_text(path, page)
    return path


def _content(run: Path, summary: Facts) -> Facts:
    scores, visits = read_rows(run / SCORES_TABLE), read_rows(run / ARMS)
    terms = read_json(run / "stages/terms.json")
    clusters = _clusters(visits, terms, drawn=summary["strategy"] == "neighbours")
    ranked = sorted(scores, key=lambda row: -row["score"])
    return {
        "name": run.name,
        "summary": summary,
        "clusters": clusters[:_CLUSTERS],
        "left_out": max(0, len(clusters) - _CLUSTERS),
        "bounds": (min(row["low_shown"] for row in clusters), max(row["high_shown"] for row in clusters)),
        "map": _map(run, scores, clusters),
        "levels": LEVELS,
        "bars": _histogram(scores),
        "edges": _edges(scores),
        "tau_share": _place(summary["tau"], scores),
        "examples": [
            ("Most influential of those scored", _shown(run, ranked[:_DOCUMENTS], terms)),
            ("Least influential of those scored", _shown(run, ranked[::-1][:_DOCUMENTS], terms)),
        ],
        "rounds": _rounds(visits),
        "seconds": sorted(summary["seconds"].items(), key=lambda item: -item[1]),
        "settings": settings_of(run),
    }


def _clusters(visits: Sequence[Facts], terms: Sequence[Sequence[str]], drawn: bool) -> list[Facts]:
    """Visited clusters, the best mean first, each with its interval after its last visit.

    Args:
        drawn: the documents scored were drawn from their cluster, so that their mean is an estimate of its mean; else that is
            the middle of the interval.
    """
    by_cluster: dict[int, list[Facts]] = defaultdict(list)
    for visit in visits:
        by_cluster[visit["cluster"]].append(visit)
    found = []
    for cluster, own in by_cluster.items():
        scored = sum(visit["documents"] for visit in own)
        mean = sum(visit["mean"] * visit["documents"] for visit in own) / scored
        last = own[-1]
        sure = bool(np.isfinite(last["low"]))
        if not drawn and sure:
            mean = (last["low"] + last["high"]) / 2
        found.append(
            {
                "cluster": cluster,
                "terms": ", ".join(terms[cluster]),
                "size": last["size"],
                "scored": scored,
                "bought": sum(visit["bought"] for visit in own),
                "visits": len(own),
                "mean": mean,
                "low": last["low"] if sure else None,
                "high": last["high"] if sure else None,
                "low_shown": last["low"] if sure else mean,
                "high_shown": last["high"] if sure else mean,
            }
        )
    return sorted(found, key=lambda row: -row["mean"])


def _map(run: Path, scores: Sequence[Facts], clusters: Sequence[Facts]) -> Any:
    """Scored documents in the colour of their cluster's mean influence."""
    places, labels = load_array(run / "stages/map.npy"), load_array(run / "stages/labels.npy")
    # By rank: a few clusters far from the others would leave those one colour.
    rank = {row["cluster"]: place for place, row in enumerate(reversed(clusters))}
    levels = np.full(len(labels), -1)
    for row in scores:
        levels[row["row"]] = level(rank[row["cluster"]], 0, max(1, len(rank) - 1))
    named = [
        Label(
            float(np.median(places[labels == row["cluster"], 0])),
            float(np.median(places[labels == row["cluster"], 1])),
            f"{row['cluster']}  {' '.join(row['terms'].replace(',', '').split()[:2])}",
        )
        for row in clusters[:_LABELS]
    ]
    return cluster_map(
        places[:, 0],
        places[:, 1],
        levels,
        named,
        title="Documents on a plane, those scored in the colour of their cluster's mean influence",
    )


def _histogram(scores: Sequence[Facts]) -> list[Facts]:
    """Scored documents by their score, the outermost hundredths at the edges; of each bar how many were bought."""
    values = np.array([row["score"] for row in scores])
    bought = np.array([row["bought"] for row in scores], dtype=bool)
    low, high = _edges(scores)
    bins = np.clip(((values - low) / (high - low) * _BARS).astype(int), 0, _BARS - 1)
    counts, taken = np.bincount(bins, minlength=_BARS), np.bincount(bins[bought], minlength=_BARS)
    most = max(1, int(counts.max()))
    return [
        {
            "from": low + (high - low) * place / _BARS,
            "count": int(count),
            "bought": int(own),
            "height": 100 * int(count) / most,
            "bought_height": 100 * int(own) / most,
        }
        for place, (count, own) in enumerate(zip(counts, taken, strict=True))
    ]


def _place(tau: float, scores: Sequence[Facts]) -> float:
    """Where the threshold is on the histogram's axis, %."""
    low, high = _edges(scores)
    return float(100 * np.clip((tau - low) / (high - low), 0, 1))


def _edges(scores: Sequence[Facts]) -> tuple[float, float]:
    """Both ends of the histogram's axis."""
    low, high = (float(edge) for edge in np.quantile([row["score"] for row in scores], [0.01, 0.99]))
    return (low, high) if high > low else (low - 1.0, low + 1.0)


def _shown(run: Path, rows: Sequence[Facts], terms: Sequence[Sequence[str]]) -> list[Facts]:
    documents = read_documents(run, [row["row"] for row in rows])
    return [
        {
            **row,
            "about": ", ".join(terms[row["cluster"]]),
            "source": document["source"],
            "text": document["text"][:_CHARACTERS] + ("…" if len(document["text"]) > _CHARACTERS else ""),
        }
        for row, document in zip(rows, documents, strict=True)
    ]


def _rounds(visits: Sequence[Facts]) -> list[Facts]:
    by_round: dict[int, list[Facts]] = defaultdict(list)
    for visit in visits:
        by_round[visit["round"]].append(visit)
    return [
        {
            "round": number,
            "visits": len(own),
            "documents": sum(visit["documents"] for visit in own),
            "bought": sum(visit["bought"] for visit in own),
            "mean": sum(visit["mean"] * visit["documents"] for visit in own)
            / sum(visit["documents"] for visit in own),
            "tau": own[0]["tau"],
        }
        for number, own in sorted(by_round.items())
    ]
