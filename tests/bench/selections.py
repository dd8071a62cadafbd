"""What a strategy selects, what it costs, and how near its pairs are to held-out examples of the target."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tasks.loop import alignment, asking, influence, keep, rounds, students
from tasks.loop.outcome import finish
from tasks.loop.plan import documents_budget, make_plan
from tasks.loop.pulls import extract_rows, round_folder
from tasks.loop.settings import EqualSettings
from tasks.loop.space import document_space
from tasks.run.seeds import integer
from tasks.select.bandit import BANDITS, BY_DOCUMENT
from tasks.select.cluster import default_clusters, kmeans
from tasks.select.ranked import RANKED
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import PAIRS, read_rows, write_json, write_table
from tests.bench import results
from tests.bench.cells import Cell, base_path, facts, link, settings

Facts = dict[str, Any]


ORACLE = "oracle"
KEEP = 0.5  # at most: train_tokens hold fewer of these selections, which is what decides by default
# Behind the name of a strategy: it reads as it always does and keeps pairs as linucb does, or influence is its reward.
WITH: dict[str, Facts] = {"+keep": {"keep": KEEP}, "+influence": {"reward": "influence"}}


def kept_path(out: Path, cell: Cell, budget: float, strategy: str, seed: int) -> Path:
    """Where the pairs of a selection are; those of 'everything' and of the oracle are the same for every seed."""
    seed = 0 if strategy in ("everything", ORACLE) else seed
    return out / "kept" / cell.name / f"{budget:g}" / f"{strategy}-{seed}.parquet"


def select(out: Path, cell: Cell, budget: float, seed: int, names: Sequence[str], tokens: int) -> None:
    """Run strategies as `sluice equal` would, without its orchestration and its student.

    Args:
        tokens: that the students will train on.

    The strategies that learn share a warm-up, the alignment learnt on it and the clusters of the aligned space. The
    others read nothing beforehand, so their space is the encoder's own. Those that choose among their pairs ask the cell's
    student of that seed.
    """
    for group in (
        [name for name in names if plain(name) not in BANDITS],
        [name for name in names if plain(name) in BANDITS],
    ):
        if not group:
            continue
        with TemporaryDirectory(prefix=".run-", dir=out) as temporary:
            run = Path(temporary) / "run"
            link(cell, out, run)
            first = plain(group[0])
            own = settings(
                cell,
                out,
                seed=seed,
                budget=budget,
                strategy=first,
                train="end",
                train_tokens=tokens,
                compare=[],
            )
            began = time.perf_counter()
            warm = alignment.warm_up(run, own, corpus=facts(cell, out)["corpus"], vectors={})
            reading = time.perf_counter() - began
            alignment.align(run, own, vectors={}, warm=warm)
            clusters = cluster(run, own, facts(cell, out)["corpus"]["documents"])
            shared = time.perf_counter() - began - reading
            began = time.perf_counter()
            taught = learn_reference(run, cell, out, seed, own) if any(map(asks_student, group)) else None
            learning = time.perf_counter() - began
            for name in group:
                spent = shared + (learning if asks_student(name) else 0.0)
                row = select_one(run, own, name, cell, out, clusters, spent, taught)
                last = row.pop("rounds")
                path = kept_path(out, cell, budget, name, seed)
                row["pairs"] = write_table(path, finish.kept_rows(run / name, last), PAIRS)
                results.append(out, {**_key(cell, budget, name, seed), **row})


def asks_student(name: str) -> bool:
    """Whether a strategy of the benchmark asks a student, about the pairs to keep or their influence."""
    return plain(name) != name or name in (*BY_DOCUMENT, ORACLE)


def plain(name: str) -> str:
    """The strategy of a name without what stands behind it."""
    return name.partition("+")[0]


def learn_reference(run: Path, cell: Cell, out: Path, seed: int, own: EqualSettings) -> Facts:
    """The cell's student of a seed, in a run's folder, and what the reference teaches it."""
    (run / "students").mkdir()
    (run / students.BASE).symlink_to(base_path(out, cell, seed).resolve())
    own = own.model_copy(update={"strategy": "linucb"})  # which asks for it
    return asking.taught(run, own, student={"student": students.BASE})


def cluster(run: Path, own: EqualSettings, documents: int) -> int:
    """The clusters of the flow, without the terms and the map, which only people look at."""
    found = kmeans(
        document_space(run),
        own.clusters or default_clusters(documents),
        integer(own.seed, "cluster"),
    )
    save_array(run / "stages/labels.npy", found.labels)
    save_array(run / "stages/centroids.npy", found.centroids)
    write_json(run / "stages/terms.json", [[] for _ in found.centroids])
    return len(found.centroids)


def select_one(
    run: Path,
    own: EqualSettings,
    name: str,
    cell: Cell,
    out: Path,
    clusters: int,
    shared: float,
    taught: Facts | None,
) -> Facts:
    """A strategy through all its rounds, in a folder of its own below the run's, which has its name.

    "course" of what is returned: after the warm-up and each round, the documents read and the transport cost of what is kept.
    """
    at, name = name, plain(name)
    # A store of its own: out of one that others have filled, extraction takes no time.
    changes: Facts = {
        "strategy": name,
        "runs_dir": str(run / at),
        **(WITH[at.removeprefix(name)] if at != name else {}),
    }
    # A ranked strategy's order is fixed before its first round; one round reads the same documents as twelve.
    own = own.model_copy(update={**changes, "rounds": 1} if name in RANKED else changes)
    clock = {"choosing": shared, "extracting": 0.0}

    def timed(what: str, function: Callable[..., Facts], *given: Any, **named: Any) -> Facts:
        began = time.perf_counter()
        found = function(*given, **named)
        clock[what] += time.perf_counter() - began
        return found

    warm_rows = [row["row"] for row in read_rows(round_folder(run, 0) / "reads.parquet", ["row"])]
    read = [timed("extracting", extract_rows, run, run / at, own, 0, warm_rows)]
    # Students are trained at the end, so the one before any training judges.
    judge = influence.judge_of(own, {"student": students.BASE})
    asked: Facts = {"taught": taught, "judge": judge}
    arms: Facts = {"warm": read[0], "clusters": {}, "strategy": name, "folder": at, **asked}
    state = timed("choosing", rounds.start, run, own, **arms)
    plan = make_plan(facts(cell, out)["corpus"]["documents"], clusters, len(warm_rows), name, own)
    course = [[read[0]["documents"], state["transport_heldout"]]]
    for number in range(1, plan.rounds + 1):
        where: Facts = {"number": number, "strategy": name, "folder": at}
        chosen = timed("choosing", rounds.choose, run, own, plan=plan.as_dict(), before=state, **where)
        read.append(timed("extracting", rounds.extract, run, own, number=number, chosen=chosen, folder=at))
        state = timed("choosing", rounds.reward, run, own, before=state, extracted=read[-1], **asked, **where)
        course.append([sum(part["documents"] for part in read), state["transport_heldout"]])
    return {
        **{field: sum(part[field] for part in read) for field in ("documents", "tokens", "cost", "pairs")},
        "transport_heldout": state["transport_heldout"],
        "course": course,
        "clusters": clusters,
        "rounds": plan.rounds,
        "seconds": round(clock["choosing"], 3),
        "seconds_extracting": round(clock["extracting"], 3),
    }


class _Told:
    """Stands where the strategy does that is told what every document has gained."""

    name = "linucb"

    def observe(self, rows: np.ndarray, gains: np.ndarray) -> None:
        self.rows, self.gains = rows, gains


def select_oracle(out: Path, cell: Cell, wanted: Mapping[float, Sequence[int]], tokens: int) -> None:
    """The documents that gain the most by transport if all are read: what a choice of documents could reach.

    Reads everything once, prices all pairs against the better half of them, and for each budget reads again the documents
    whose pairs gain most by these prices, as many as the budget allows. Of these it keeps pairs as linucb does, by the
    student of seed 0. A seed changes only the student.

    Args:
        wanted: the seeds of each budget.
    """
    own = settings(cell, out, strategy="everything", train="end", train_tokens=tokens, keep=KEEP, compare=[])
    documents = facts(cell, out)["corpus"]["documents"]
    with TemporaryDirectory(prefix=".run-", dir=out) as temporary:
        run = Path(temporary) / "run"
        link(cell, out, run)
        own = own.model_copy(update={"runs_dir": str(run)})
        told = _Told()
        extract_rows(run, run, own, 0, np.arange(documents).tolist())
        keep.choose_pairs(run, own, run, 0, told)
        best = told.rows[np.argsort(-told.gains, kind="stable")]
        taught = learn_reference(run, cell, out, 0, own)
        for budget, seeds in wanted.items():
            at = run / f"{ORACLE}-{budget:g}"
            count = documents_budget(documents, own.model_copy(update={"budget": budget}), ORACLE)
            read = extract_rows(run, at, own, 0, best[:count].tolist())
            keep.choose_pairs(run, own, at, 0, told, asking.reductions_by(run, own, taught))
            rows = read_rows(round_folder(at, 0) / "extracted.parquet")
            kept = [row for row, own in zip(rows, keep.kept_mask(at, 0), strict=True) if own]
            write_table(kept_path(out, cell, budget, ORACLE, 0), kept, PAIRS)
            for seed in seeds:
                row = {
                    **{field: read[field] for field in ("documents", "tokens", "cost")},
                    "pairs": len(kept),
                    "transport_heldout": rounds.judged_transport(
                        rounds.kept_vectors(at, 0), load_array(run / "stages/test.npy"), seed
                    ),
                    "seconds": 0.0,
                    "seconds_extracting": 0.0,
                }
                results.append(out, {**_key(cell, budget, ORACLE, seed), **row})


def select_everything(out: Path, cell: Cell, seeds: Sequence[int]) -> None:
    """Read the whole corpus once; a seed changes only which of its pairs are judged."""
    own = settings(cell, out, strategy="everything", train="never")
    documents = facts(cell, out)["corpus"]["documents"]
    with TemporaryDirectory(prefix=".run-", dir=out) as temporary:
        run = Path(temporary) / "run"
        link(cell, out, run)
        own = own.model_copy(update={"runs_dir": str(run)})
        began = time.perf_counter()
        read = extract_rows(run, run, own, 0, np.arange(documents).tolist())
        seconds = time.perf_counter() - began
        write_table(
            kept_path(out, cell, 1.0, "everything", 0),
            read_rows(round_folder(run, 0) / "extracted.parquet"),
            PAIRS,
        )
        kept, test = load_array(round_folder(run, 0) / "vectors.npy"), load_array(run / "stages/test.npy")
        for seed in seeds:
            row = {
                **{field: read[field] for field in ("documents", "tokens", "cost", "pairs")},
                "transport_heldout": rounds.judged_transport([kept], test, seed),
                "seconds": 0.0,
                "seconds_extracting": round(seconds, 3),
            }
            results.append(out, {**_key(cell, 1.0, "everything", seed), **row})


def _key(cell: Cell, budget: float, name: str, seed: int) -> Facts:
    return {
        "corpus": cell.corpus,
        "target": cell.target,
        "budget": budget,
        "strategy": name,
        "seed": seed,
        "kind": "selection",
    }
