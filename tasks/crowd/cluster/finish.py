"""What a run leaves: clusters, pairs and why they were decided so, figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.formats import given_with
from tasks.crowd.cluster.plan import ASKED, AUDITED, CLUSTERED, DEDUCED, PRUNED, TAKEN
from tasks.crowd.cluster.read import read_truth
from tasks.crowd.cluster.records import candidates_of
from tasks.crowd.cluster.rounds import load_decided
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.llm.told import about
from tasks.run.expectations import frame_of, pair_id, validate
from tasks.run.folder import versions
from tasks.storage.sheets import csv_of, write_csv
from tasks.storage.tables import write_json, write_text

Facts = dict[str, Any]

CLUSTERS, PAIRS = "clusters.csv", "pairs.csv"
_PAGES = "expectations"


def tables(run: Path, settings: ClusterSettings, asked: Facts) -> Facts:
    """Write clusters and pairs, and how right they are where the truth is known."""
    found, decided = candidates_of(settings), load_decided(run)
    cluster = np.array(decided["cluster"])
    order = np.argsort(cluster, kind="stable")
    write_text(
        run / CLUSTERS,
        csv_of(
            ("cluster", "table", "id"),
            ([int(cluster[row]), *found.ids.records[row]] for row in order.tolist()),
        ),
    )
    head = ("left_id", "right_id", "score", "same", "how", "crowd", "overruled", "contradicted")
    write_csv(run / PAIRS, head, ([row[name] for name in head] for row in pair_rows(run, settings)))
    sizes = Counter(np.bincount(cluster).tolist())
    same = cluster[found.pairs.left] == cluster[found.pairs.right]
    return {
        "files": [CLUSTERS, PAIRS],
        "matches": int(same.sum()),
        "clusters": len(np.unique(cluster)),
        "sizes": {str(size): count for size, count in sorted(sizes.items())},
        "how": dict(Counter(decided["how"])),
        "contradicted": len(decided["dropped"]),
        # The scores from which on the machine decides; none on a side where it decides nothing.
        "low": decided["low"] if decided["low"] >= 0 else None,
        "high": decided["high"] if decided["high"] <= 1 else None,
        "dissent": decided["dissent"],
        "quality": _quality(settings, cluster, same) if settings.truth else None,
    }


def pair_rows(run: Path, settings: ClusterSettings) -> Iterator[Facts]:
    """Every pair, the crowd's probability ("" where it was not asked), and why it was decided so.

    `overruled`: the crowd's answers to this pair say otherwise, but those to other pairs outweigh them.
    """
    found, decided = candidates_of(settings), load_decided(run)
    cluster, dropped = decided["cluster"], set(decided["dropped"])
    ends = zip(found.pairs.left.tolist(), found.pairs.right.tolist(), strict=True)
    for row, (left, right) in enumerate(ends):
        same, crowd = cluster[left] == cluster[right], decided["match"][row]
        names = found.ids.names(row)
        yield {
            "left_id": names[0],
            "right_id": names[1],
            "score": f"{found.pairs.score[row]:.4f}",
            "same": int(same),
            "how": decided["how"][row],
            "crowd": "" if crowd is None else f"{crowd:.4f}",
            "overruled": int(crowd is not None and crowd != 0.5 and (crowd > 0.5) != same),
            "contradicted": int(row in dropped),
        }


def gate(run: Path, settings: ClusterSettings, tables: Facts) -> Facts:
    """Great Expectations over the pairs: each once, decided in a known way, asked where it says so.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    rows = (
        {
            "id": pair_id(row["left_id"], row["right_id"]),
            "same": row["same"],
            "how": row["how"],
            "asked_without_answer": int(row["how"] in (ASKED, AUDITED) and row["crowd"] == ""),
            "pruned_but_same": int(row["how"] == PRUNED and row["same"] == 1),
        }
        for row in pair_rows(run, settings)
    )
    columns = ["id", "same", "how", "asked_without_answer", "pruned_but_same"]
    validate(
        "pairs",
        frame_of(rows, columns),
        [
            gxe.ExpectTableRowCountToEqual(value=len(candidates_of(settings).pairs)),
            gxe.ExpectColumnValuesToBeUnique(column="id"),
            gxe.ExpectColumnValuesToBeInSet(column="same", value_set=[0, 1]),
            gxe.ExpectColumnValuesToBeInSet(
                column="how", value_set=[ASKED, DEDUCED, CLUSTERED, PRUNED, TAKEN, AUDITED]
            ),
            gxe.ExpectColumnValuesToBeInSet(column="asked_without_answer", value_set=[0]),
            gxe.ExpectColumnValuesToBeInSet(column="pruned_but_same", value_set=[0]),
        ],
        run / _PAGES,
    )
    return {"files": [f"{_PAGES}/docs/index.html"]}


def summarise(settings: ClusterSettings, *, data: Facts, asked: Facts, tables: Facts) -> Facts:
    """The figures of a run, machine-readable."""
    left_out = ("files", "seconds")
    return {
        "method": settings.method,
        "refined": settings.refine,
        "merge": settings.merge,
        "redundancy": len(settings.judges) or settings.redundancy,
        "judges": settings.judges,
        "simulated": bool(settings.simulate),
        "seed": settings.seed,
        **{name: value for name, value in data.items() if name not in left_out},
        **{name: value for name, value in asked.items() if name not in left_out},
        **{name: value for name, value in tables.items() if name not in left_out},
        "saved": 1 - asked["questions"] / data["pairs"],
        "versions": versions(),
    }


def save_summary(run: Path, summary: Facts) -> None:
    write_json(run / "summary.json", summary)


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("pairs", f"{summary['pairs']:,}"),
        ("asked", f"{summary['questions']:,}"),
        ("answers", f"{summary['answers']:,}"),
        ("rounds", f"{len(summary['rounds']):,}"),
        *_costs(summary),
        ("clusters", f"{summary['clusters']:,}"),
    ]
    if summary["quality"]:
        columns.append(("F1", f"{100 * summary['quality']['f1']:.1f}"))
    return [[name for name, _ in columns], [value for _, value in columns]]


def _costs(summary: Facts) -> list[tuple[str, str]]:
    """What was paid, and what asking about every pair would have cost; nothing without prices."""
    everything = summary["cost_of_everything"]
    if everything is None:
        return []
    return [("cost", f"${summary['cost']:,.2f}"), ("of asking all", f"${everything:,.2f}")]


def expected_line(data: Facts, settings: ClusterSettings) -> str:
    """What asking is expected to cost, in a line."""
    who = (
        f"of {len(settings.judges)} model{'s' if len(settings.judges) > 1 else ''}"
        if settings.judges
        else f"at {settings.redundancy} answers of ${settings.price:g}"
    )
    everything = data["cost_of_everything"]
    return (
        f"{data['pairs']:,} pairs of {data['records']:,} records: about {data['expected_questions']:,.0f} questions in "
        f"{data['expected_rounds']:,.0f} rounds, {who}, if scores are probabilities, {about(data['expected_cost'])}"
    ) + ("" if everything is None else f"; asking all of them would be {about(everything)}")


def _quality(settings: ClusterSettings, cluster: np.ndarray, same: np.ndarray) -> Facts:
    """Precision, recall and F1 over all pairs of records that the clusters or the truth join, and over the candidates."""
    found = candidates_of(settings)
    with given_with("--truth"):
        truth = read_truth(settings.truth, found.ids)
    right = _within(np.unique(np.stack([cluster, truth]), axis=1, return_inverse=True)[1].reshape(-1))
    decided, true = _within(cluster), _within(truth)
    matches = truth[found.pairs.left] == truth[found.pairs.right]
    candidates = 2 * int((same & matches).sum()) / max(1, int(same.sum()) + int(matches.sum()))
    return {
        "precision": right / max(1, decided),
        "recall": right / max(1, true),
        "f1": 2 * right / max(1, decided + true),
        "f1_of_candidates": candidates,
        "true_matches": true,
        "true_matches_among_candidates": int(matches.sum()),
    }


def _within(cluster: np.ndarray) -> int:
    """Pairs of records in the same group."""
    size = np.bincount(cluster)
    return int((size * (size - 1) // 2).sum())
