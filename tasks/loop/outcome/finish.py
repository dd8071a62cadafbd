"""What a run leaves: its tables, checked; the export; summary.json and the report."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.loop.keep import (
    JUDGED,
    KEPT,
    LIKELY_WRONG,
    NOT_GOOD,
    P_GOOD,
    SERVES_LESS,
    kept_mask,
    known_reductions,
)
from tasks.loop.pulls import round_folder
from tasks.loop.rounds import judged_transport, kept_vectors
from tasks.loop.settings import EqualSettings
from tasks.prepare.documents import CORPUS
from tasks.run.folder import versions
from tasks.storage.arrays import load_array
from tasks.storage.tables import (
    ARMS,
    DOCUMENTS,
    PAIRS,
    REJECTED,
    TableWriter,
    atomic_folder,
    iterate_rows,
    read_json,
    read_rows,
    write_json,
    write_table,
)

Facts = dict[str, Any]


def tables(run: Path, settings: EqualSettings, rounds: int, target: Facts, rewarded: Facts) -> Facts:
    """Put the rounds' tables together: pairs, arms, rejected, and the documents with what became of each."""
    folders = [round_folder(run, number) for number in range(rounds + 1)]
    pairs = write_table(run / "pairs.parquet", _scored_rows(run, rounds), PAIRS)
    write_table(run / "arms.parquet", _concatenated(folders, "arms.parquet"), ARMS)
    with TableWriter(run / "rejected.parquet", REJECTED) as rejected:
        counts: Counter[str] = Counter()
        for row in _rejected(run, rounds, target):
            rejected.write(row)
            counts[row["reason"]] += 1
    _write_documents(run, rounds)
    return {
        "files": ["pairs.parquet", "arms.parquet", "rejected.parquet", "documents.parquet"],
        "pairs": pairs,
        "rejected": dict(sorted(counts.items())),
    }


def gate_pairs(run: Path, settings: EqualSettings, tables: Facts) -> Facts:
    """Great Expectations over the pairs; a failed one stops the run and names the rows."""
    from tasks.loop.outcome.gates import check_pairs

    check_pairs(run / "pairs.parquet", run / "documents.parquet", run / "expectations")
    return {"files": ["expectations/docs/index.html"]}


def export(run: Path, settings: EqualSettings, tables: Facts, summary: Facts) -> Facts:
    """Write the pairs in the formats trainers read, and check them."""
    from tasks.loop.outcome.export import export_pairs
    from tasks.loop.outcome.gates import check_export

    rows = export_pairs(
        run / "pairs.parquet",
        run / "export",
        name=run.name,
        settings=settings.model_dump(mode="json"),
        summary=summary,
    )
    check_export(run / "export", run / "pairs.parquet", run / "expectations")
    return {"files": ["export"], "pairs": rows}


def summarise(
    run: Path,
    settings: EqualSettings,
    *,
    expected: Facts,
    target: Facts,
    corpus: Facts,
    clusters: Facts,
    student: Facts,
    warm: Facts,
    history: Sequence[Mapping[str, Facts]],
    trained: Facts,
    scores: tuple[Facts, Facts],
    comparison: Sequence[Facts],
    reference: Facts | None,
    tables: Facts,
    judged: Facts | None,
) -> Facts:
    """The figures of a run, machine-readable; `scores` are the student's before and after on the whole test part.

    With rules the costs are what a model would take for the documents at `price`, with a model what it took for documents and
    judging; None where its prices were not given.
    """
    priced = expected["cost"] is not None
    read = cumulative(warm, history, priced)
    totals = read[-1]
    cost = totals["cost"]
    if judged:
        judged = {**judged, "cost": judged["cost"] if expected["cost_judges"] is not None else None}
        if settings.extractor == "llm":
            cost = cost + judged["cost"] if priced else None
    price = document_price(totals, settings)
    kept = kept_vectors(run, len(history))
    curve = [
        {
            **so_far,
            "pairs_kept": part["reward"]["pairs_total"],
            "reward_best": part["reward"]["reward_best"],
            "transport_heldout": part["reward"]["transport_heldout"],
            "nll": part["train"]["nll"] if settings.train == "rounds" else None,
            "exact_match": part["train"]["exact_match"] if settings.train == "rounds" else None,
        }
        for so_far, part in zip(read[1:], history, strict=True)
    ]
    return {
        "strategy": settings.strategy,
        "seed": settings.seed,
        "documents": corpus["documents"],
        "extracted_documents": totals["documents"],
        "tokens_total": corpus["tokens"],
        "tokens_read": totals["tokens"],
        "extractor": settings.extractor,
        "price": price,
        "cost": cost,
        "cost_per_pair": cost / tables["pairs"] if tables["pairs"] and priced else None,
        "judged": judged,
        "cost_expected": expected["cost"] if settings.extractor == "llm" else None,
        "cost_everything": None if price is None else corpus["tokens"] * price / 1e6,
        "reference_examples": target["reference"],
        "test_examples": target["test"],
        "test_examples_untestable": corpus["untestable"],
        "clusters": clusters["clusters"],
        "pairs": tables["pairs"],
        "amounts": history[-1]["reward"]["amounts"],
        "rejected": tables["rejected"],
        "transport": judged_transport(kept, load_array(run / "stages/reference.npy"), settings.seed),
        "transport_heldout": judged_transport(kept, load_array(run / "stages/test.npy"), settings.seed),
        "nll_before": scores[0]["nll"],
        "nll_after": scores[1]["nll"],
        "exact_match_before": scores[0]["exact_match"],
        "exact_match_after": scores[1]["exact_match"],
        "train_tokens": trained_tokens(history, trained, settings),
        "student": trained["student"],
        "rounds": curve,
        "comparison": [one if priced else {**one, "cost": None} for one in comparison],
        "reference": reference,
        "versions": versions(),
    }


def document_price(read: Facts, settings: EqualSettings) -> float | None:
    """Dollars for a million document tokens: the rules' by the settings, a model's as it came to be so far; None without prices."""
    if settings.extractor == "rules":
        return settings.price
    if read["cost"] is None:
        return None
    return 1e6 * float(read["cost"]) / read["tokens"] if read["tokens"] else 0.0


def cumulative(warm: Facts, history: Sequence[Mapping[str, Facts]], priced: bool = True) -> list[Facts]:
    """What was read up to each round, the warm-up first.

    Args:
        priced: whether what it cost is known; None stands for it otherwise.
    """
    rows: list[Facts] = []
    so_far: Facts = {"documents": 0, "tokens": 0, "cost": 0.0, "pairs": 0}
    for number, part in enumerate([warm, *(round["extract"] for round in history)]):
        so_far = {field: so_far[field] + part[field] for field in so_far}
        rows.append({"round": number, **so_far})
    return rows if priced else [{**row, "cost": None} for row in rows]


def arms_of_round(run: Path, number: int) -> list[dict[str, Any]]:
    """The rows of a round's pulls."""
    return read_rows(round_folder(run, number) / "arms.parquet")


def latest_arms(run: Path, last: int) -> list[dict[str, Any]]:
    """The latest row of every arm pulled so far."""
    latest = {}
    for number in range(last + 1):
        for row in arms_of_round(run, number):
            latest[row["arm"]] = row
    return list(latest.values())


def trained_tokens(history: Sequence[Mapping[str, Facts]], trained: Facts, settings: EqualSettings) -> int:
    """Tokens the student was trained on in all, since it was last trained anew."""
    if settings.train == "rounds":
        if history[-1]["reward"]["amounts"]:
            return int(history[-1]["train"]["tokens"])
        return sum(part["train"]["tokens"] for part in history)
    return int(trained["tokens"])


def whole_seconds(run: Path) -> float:
    """Seconds that a run took which was finished before; 0 for one that was not."""
    path = run / "summary.json"
    return float(read_json(path)["seconds"]["all"]) if path.exists() else 0.0


def report(run: Path, summary: Facts) -> None:
    """Write summary.json and report.html."""
    from tasks.loop.outcome.report import write_report

    write_json(run / "summary.json", summary)
    write_report(run)


def keep_last_student(run: Path, student: str | None, tokens: int) -> None:
    """The student under one name, whenever it was trained; none if it was never trained.

    Args:
        tokens: it was trained on in all; the last round alone may have had nothing new for it.
    """
    if student and tokens and (run / student).exists():
        with atomic_folder(run / "student") as copy:
            shutil.copytree(run / student, copy, dirs_exist_ok=True)


def _concatenated(
    folders: Sequence[Path], name: str, columns: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    for folder in folders:
        yield from iterate_rows(folder / name, columns)


def kept_rows(at: Path, last: int, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The pairs of a folder's rounds 0..last that are kept after the last; all columns or some."""
    rows = _concatenated([round_folder(at, number) for number in range(last + 1)], "pairs.parquet", columns)
    mask = kept_mask(at, last)
    return rows if mask is None else (row for row, own in zip(rows, mask, strict=True) if own)


def _scored_rows(run: Path, last: int) -> Iterator[dict[str, Any]]:
    """The pairs that are kept, with what judges think of them."""
    path, mask = round_folder(run, last) / P_GOOD, kept_mask(run, last)
    if not path.exists():
        return kept_rows(run, last)
    scores = np.asarray(load_array(path))
    good = scores if mask is None else scores[mask]
    rows = zip(kept_rows(run, last), good.tolist(), strict=True)
    return ({**row, "p_good": None if np.isnan(one) else one} for row, one in rows)


def _left_rows(run: Path, last: int) -> Iterator[dict[str, Any]]:
    """Rejections of the pairs that were read and are not kept."""
    mask, reductions = kept_mask(run, last), known_reductions(run, last)
    if mask is None:
        return
    served, good = kept_mask(run, last, (KEPT,)), kept_mask(run, last, (KEPT, JUDGED))
    folders = [round_folder(run, number) for number in range(last + 1)]
    for place, row in enumerate(_concatenated(folders, "pairs.parquet", ["id", "similarity"])):
        if mask[place]:
            continue
        if served is None or served[place]:
            stage, reason = ("clean", LIKELY_WRONG) if good is None or good[place] else ("judge", NOT_GOOD)
            yield {"stage": stage, "reason": reason, "id": row["id"], "detail": ""}
            continue
        detail = f"similarity {row['similarity']:.3f} to the nearest reference example"
        if reductions is not None and not np.isnan(reductions[place]):
            what = "lowers" if reductions[place] >= 0 else "raises"
            detail += (
                f"; learning the reference {what} the loss of its answer by {abs(reductions[place]):.2f} nats"
            )
        yield {"stage": "keep", "reason": SERVES_LESS, "id": row["id"], "detail": detail}


def _rejected(run: Path, rounds: int, target: Facts) -> Iterator[dict[str, Any]]:
    for stage, reason, id_, detail in target["rejected"]:
        yield {"stage": stage, "reason": reason, "id": id_, "detail": detail}
    yield from iterate_rows(run / "stages/rejected.parquet")
    yield from _concatenated([round_folder(run, number) for number in range(rounds + 1)], "rejected.parquet")
    yield from _left_rows(run, rounds)


def _write_documents(run: Path, rounds: int) -> None:
    """documents.parquet: the corpus, a batch at a time, with the cluster, map position and reading of each row."""
    labels, places = load_array(run / "stages/labels.npy"), load_array(run / "stages/map.npy")
    round_of = np.full(len(labels), -1, dtype=np.int32)
    for number in range(rounds + 1):
        for read in read_rows(round_folder(run, number) / "reads.parquet", ["row"]):
            round_of[read["row"]] = number
    kept = Counter(row["document_id"] for row in kept_rows(run, rounds, columns=["document_id"]))
    with TableWriter(run / "documents.parquet", DOCUMENTS) as writer:
        for row, document in enumerate(iterate_rows(run / CORPUS)):
            read_in = int(round_of[row])
            writer.write(
                {
                    **document,
                    "cluster": int(labels[row]),
                    "x": float(places[row, 0]),
                    "y": float(places[row, 1]),
                    "extracted": read_in >= 0,
                    "round": read_in if read_in >= 0 else None,
                    "pairs": kept[document["id"]] if read_in >= 0 else None,
                }
            )
