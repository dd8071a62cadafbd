"""Collect answers, fold names, estimate; and the tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.rows import REJECTS
from tasks.crowd.discover.collect import collect, curve
from tasks.crowd.discover.entities import Folding, alike, mapping_of, shown_names
from tasks.crowd.discover.estimate import Estimate, counts_of, rounded_down
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.crowd.read import read_table
from tasks.crowd.wanted import QUESTION, Row, round_of, rounds_done, rows_of
from tasks.records import BadInput, Reject
from tasks.run import terminal
from tasks.run.expectations import frame_of, validate
from tasks.run.folder import versions
from tasks.storage.sheets import as_text, write_csv
from tasks.storage.tables import REJECTED, read_json, write_json, write_table

Facts = dict[str, Any]

NAMED = "stages/named.json"
ENTITIES, CURVE, SIMILAR = "entities.csv", "curve.csv", "similar.csv"
PAGES = "expectations"

_POINTS = 60  # of the curve
_Said = tuple[str, str, str]  # worker, what they name, where it stands
_HEAD = (QUESTION, "ask", "worker", "entity")
_CURVE_HEAD = (
    "answers",
    "entities",
    "coverage",
    "coverage_low",
    "coverage_high",
    "number",
    "number_low",
    "number_high",
)


def read(run: Path, settings: DiscoverSettings, source: Facts) -> Facts:
    """Who named what: the answers that are given, and those of people, as long as more are worth it.

    Raises:
        Stopped: people have to answer first.
    """
    folding, rejected = _folding(settings)
    rows: list[_Said] = []
    if settings.answers:
        columns = [settings.worker, settings.entity]
        table = read_table(settings.answers, columns, "--answers", max_broken=settings.max_broken)
        rows = list(zip(*table.columns, map(table.place, range(len(table))), strict=True))
        rejected += table.rejected
    given, why = len(rows), ""
    if settings.asks:
        rows, why = _ask(run, settings, folding, rows)
    workers, keys, names = _folded(rows, folding, rejected)
    if not keys:
        said = f"{rejected[-1].id}, {rejected[-1].detail}"
        raise BadInput(
            f"no answer names anything (last {said}); give --answers or people's answers with names in them"
        )
    worker, entity, _ = _codes(workers, keys)
    first = _first_mentions(worker, entity)
    if settings.replay:
        taken, why = collect(worker[first], entity[first], settings.stop, settings.batch)
        last = int(first[taken - 1]) + 1
        workers, keys, names = workers[:last], keys[:last], names[:last]
    write_json(run / NAMED, {"worker": workers, "entity": keys, "name": names})
    write_table(run / REJECTS, (reject.row for reject in rejected), REJECTED)
    return {
        "files": [NAMED, REJECTS],
        "given": given,
        "asked": len(rows) - given,
        "taken": len(keys),
        "left": len(entity) - len(keys),
        "workers": len(set(workers)),
        "rejected": len(rejected),
        "stopped_because": why,
    }


def estimate(run: Path, settings: DiscoverSettings, data: Facts) -> Facts:
    """How many entities there are, the curve, and what may be the same."""
    workers, keys, names = load_named(run)
    worker, entity, entities = _codes(workers, keys)
    first = _first_mentions(worker, entity)
    points = curve(worker[first], entity[first], settings.stop, _POINTS)
    last = points[-1]
    times, people = np.bincount(entity), np.bincount(entity[first])
    shown = shown_names(keys, names)
    order = np.lexsort((np.arange(len(entities)), -people)).tolist()
    spellings: dict[str, set[str]] = {}
    for key, name in zip(keys, names, strict=True):
        spellings.setdefault(key, set()).add(name)
    write_csv(
        run / ENTITIES,
        ("entity", "times", "workers", "spellings"),
        (
            [as_text(shown[entities[at]]), int(times[at]), int(people[at]), len(spellings[entities[at]])]
            for at in order
        ),
    )
    write_csv(run / CURVE, _CURVE_HEAD, map(_curve_row, points))
    pairs = alike([entities[at] for at in order])
    write_csv(
        run / SIMILAR,
        ("name", "entity", "similarity", "times_name", "times_entity"),
        (_similar_row(one, other, score, order, entities, shown, people) for one, other, score in pairs),
    )
    counts = counts_of(people)
    return {
        "files": [ENTITIES, CURVE, SIMILAR],
        "repeated": len(entity) - len(first),
        "similar": len(pairs),
        "named_once": int(counts.once),
        "named_twice": int(counts.twice),
        **{name: _finite(value) for name, value in asdict(last).items()},
        "completeness": last.completeness,
        "enough": settings.stop.why(last),
    }


def load_named(run: Path) -> tuple[list[str], list[str], list[str]]:
    """Worker, entity and name of each answer."""
    found = read_json(run / NAMED)
    return found["worker"], found["entity"], found["name"]


def read_curve(run: Path) -> list[dict[str, float]]:
    """The rows of curve.csv."""
    return [{name: float(cell) for name, cell in row.items()} for row in rows_of(run / CURVE)]


def gate(run: Path, settings: DiscoverSettings, estimated: Facts) -> Facts:
    """Great Expectations over entities.csv: each named, by somebody, and by no more people than times.

    Raises:
        GateFailed: an expectation is not met.
    """
    import great_expectations.expectations as gxe

    rows = [
        {
            "id": row["entity"],
            "characters": len(row["entity"]),
            "times": int(row["times"]),
            "workers": int(row["workers"]),
        }
        for row in rows_of(run / ENTITIES)
    ]
    validate(
        "entities",
        frame_of(rows, ["id", "characters", "times", "workers"]),
        [
            gxe.ExpectTableRowCountToEqual(value=estimated["entities"]),
            gxe.ExpectColumnValuesToBeBetween(column="characters", min_value=1),
            gxe.ExpectColumnValuesToBeBetween(column="workers", min_value=1),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="times", column_B="workers", or_equal=True),
        ],
        run / PAGES,
    )
    return {"files": [f"{PAGES}/docs/index.html"]}


def summarise(settings: DiscoverSettings, *, data: Facts, estimated: Facts) -> Facts:
    """The figures of a run, machine-readable."""
    parts = (data, estimated)
    return {
        "topic": settings.topic,
        "seed": settings.seed,
        **{name: value for part in parts for name, value in part.items() if name not in ("files", "seconds")},
        "versions": versions(),
    }


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal."""
    number, high = summary["number"], summary["number_high"]
    said = "–" if number is None else f"{number:,.0f}"
    if number is not None and high is not None:
        said += f" ({summary['number_low']:,.0f} to {high:,.0f})"
    columns = [
        ("entities", f"{summary['entities']:,}"),
        ("answers that count", f"{summary['answers']:,}"),
        ("workers", f"{summary['workers']:,}"),
        ("coverage", _range(*(summary[f"coverage{end}"] for end in ("", "_low", "_high")))),
        ("there are, estimated", said),
        ("enough", "yes" if summary["enough"] else "no"),
    ]
    return [[name for name, _ in columns], [value for _, value in columns]]


def _range(share: float, low: float, high: float) -> str:
    share, low, high = (rounded_down(one, 3) for one in (share, low, high))
    return f"{share:.3f} ({low:.3f} to {high:.3f})"


def _ask(
    run: Path, settings: DiscoverSettings, folding: Folding, given: list[_Said]
) -> tuple[list[_Said], str]:
    rounds = [filled for _, filled in rounds_done(run)]
    while True:
        rows = [*given, *chain.from_iterable(map(_said, rounds, count(1)))]
        why = ""
        if rows:
            workers, keys, _ = _folded(rows, folding, [])
            worker, entity, _ = _codes(workers, keys)
            first = _first_mentions(worker, entity)
            found = settings.stop.estimate(worker[first], entity[first])
            why = settings.stop.why(found)
            known = _range(found.coverage, found.coverage_low, found.coverage_high)
            terminal.current().note(
                f"{found.answers:,} answers that count, {found.entities:,} entities, coverage {known}"
            )
        left = settings.most_answers - (len(rows) - len(given))
        if why or left <= 0:
            return rows, why or "as many answers as may be asked for"
        rounds.append(_round(run, settings, min(settings.batch, left)))


def _round(run: Path, settings: DiscoverSettings, size: int) -> list[Row]:
    ask = f"Name one of the {settings.topic}" if settings.topic else "Name one"

    def make() -> tuple[Any, Iterable[list[Any]]]:
        return {"rows": size}, ([number, ask, "", ""] for number in range(1, size + 1))

    how = "write who answers (worker) and what they name (entity), and add rows if there are more"
    return round_of(run, _HEAD, make, _is_answered, how)[1]


def _said(filled: Iterable[Row], number: int) -> list[_Said]:
    """The answers of a round, which stand below a heading."""
    return [
        (row["worker"], _plain(row["entity"]), f"rounds/{number:03d}/answers.csv:{line}")
        for line, row in enumerate(filled, start=2)
    ]


def _is_answered(row: Row, place: str) -> bool:
    if row["entity"] and not row["worker"]:
        raise BadInput(f"{place}: no worker; write who answered")
    return bool(row["entity"])


def _plain(name: str) -> str:
    return name.removeprefix("'")


def _folding(settings: DiscoverSettings) -> tuple[Folding, list[Reject]]:
    """Which names are the same, and the rows of --mapping that say nothing."""
    if not settings.mapping:
        return Folding({}), []
    table = read_table(settings.mapping, ["name", "entity"], "--mapping", max_broken=settings.max_broken)
    return mapping_of(*table.columns), table.rejected


def _folded(
    rows: Iterable[_Said], folding: Folding, rejected: list[Reject]
) -> tuple[list[str], list[str], list[str]]:
    workers, keys, names = [], [], []
    for worker, name, place in rows:
        key = folding(name)
        if not key:
            rejected.append(Reject("fold names", "no letter in it", place, name[:200]))
            continue
        workers.append(worker)
        keys.append(key)
        names.append(name)
    return workers, keys, names


def _codes(workers: list[str], keys: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Codes of worker and entity of each answer, by first appearance, and the entities."""
    worker_of = {name: code for code, name in enumerate(dict.fromkeys(workers))}
    entity_of = {name: code for code, name in enumerate(dict.fromkeys(keys))}
    worker = np.array([worker_of[one] for one in workers], dtype=np.int64)
    entity = np.array([entity_of[one] for one in keys], dtype=np.int64)
    return worker, entity, list(entity_of)


def _first_mentions(worker: np.ndarray, entity: np.ndarray) -> np.ndarray:
    """Places of the answers that count: of a worker's answers that name the same the first."""
    pairs = worker * (int(entity.max(initial=0)) + 1) + entity
    return np.sort(np.unique(pairs, return_index=True)[1])


def _curve_row(found: Estimate) -> list[Any]:
    values = [asdict(found)[name] for name in _CURVE_HEAD]
    return [value if isinstance(value, int) else f"{value:.6g}" for value in values]


def _similar_row(
    one: int,
    other: int,
    score: float,
    order: list[int],
    entities: list[str],
    shown: dict[str, str],
    people: np.ndarray,
) -> list[Any]:
    """As --mapping takes it: what fewer people named is taken for the other."""
    rarer, commoner = order[other], order[one]
    names = [as_text(shown[entities[at]]) for at in (rarer, commoner)]
    return [*names, f"{score:.0f}", int(people[rarer]), int(people[commoner])]


def _finite(value: Any) -> Any:
    """JSON has no word for infinity."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
