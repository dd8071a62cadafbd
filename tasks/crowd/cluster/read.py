"""Candidate pairs, recorded answers, confusion matrices and the truth, out of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.corpus.formats import cell_text, listed, whole_records
from tasks.crowd.cost.pairs import Candidates, numbered
from tasks.records import BadInput, Reject

LEFT, RIGHT = "left", "right"
Node = tuple[str, str]
"""A record: the table it is of, LEFT or RIGHT, and its id. Where there is one table, it is LEFT."""

_LEFT_IDS, _RIGHT_IDS = ("left_id", "ltable_id"), ("right_id", "rtable_id")
_YES = {"1": 1, "yes": 1, "y": 1, "true": 1, "same": 1, "0": 0, "no": 0, "n": 0, "false": 0, "different": 0}


@dataclass(frozen=True)
class Ids:
    """What the records and pairs of a run are called.

    Args:
        records: tables and ids, n.
        left, right: of each pair, rows of records, int64 (m,).
        within: whether all records are of one table, so that a pair has no order.
    """

    records: Sequence[Node]
    left: np.ndarray
    right: np.ndarray
    within: bool

    def rows(self) -> dict[frozenset[Node], int]:
        """The row of each pair."""
        ends = zip(self.left.tolist(), self.right.tolist(), strict=True)
        return {
            frozenset((self.records[one], self.records[other])): row for row, (one, other) in enumerate(ends)
        }

    def names(self, row: int) -> tuple[str, str]:
        """The two ids of a pair."""
        return self.records[self.left[row]][1], self.records[self.right[row]][1]


def read_candidates(
    name: str, score: str, within: bool, records: Sequence[Node] | None = None
) -> tuple[Candidates, Ids, list[Reject]]:
    """Candidate pairs of a file; of a pair that stands there twice the likelier counts.

    Args:
        score: column of the machine's score.
        within: whether both ids are of one table.
        records: all there are; by default those of the pairs, in the order in which they come.

    Raises:
        BadInput: a column is missing, a score is no probability, an id is no record, or no pair is left.
    """
    place = {node: at for at, node in enumerate(records or ())}
    found: dict[tuple[int, int], float] = {}
    rejects = []
    for number, record in whole_records(name):
        pair = pair_of(record, within, f"{name}:{number}")
        if pair[0] == pair[1]:
            raise BadInput(f"{name}:{number}: {pair[0][1]} is paired with itself; take the line out")
        if score not in record:
            raise BadInput(
                f"{name}:{number}: no column {score}; it has: {listed(record)}; name it by --score"
            )
        likely = _probability(record[score], f"{name}:{number}: the {score}")
        for node in pair:
            if node not in place:
                if records is not None:
                    raise BadInput(
                        f"{name}:{number}: {node[1]} is no id of the {node[0]} table; give its table"
                    )
                place[node] = len(place)
        ends = place[pair[0]], place[pair[1]]
        key = (min(ends), max(ends)) if within else ends
        if key in found:
            rejects.append(Reject("read", "stands there twice", f"{name}:{number}"))
        found[key] = max(found.get(key, 0.0), likely)
    if not found:
        raise BadInput(f"{name}: no pairs; give at least one")
    ends_of = np.array(list(found), dtype=np.int64)
    pairs = Candidates(ends_of[:, 0], ends_of[:, 1], np.array(list(found.values())), len(place))
    return pairs, Ids(list(place), pairs.left, pairs.right, within), rejects


def read_table(name: str, id_column: str, side: str) -> dict[Node, str]:
    """The records of a table as texts, `attribute: value` joined by semicolons.

    Raises:
        BadInput: no id column, an id that is missing or not unique, or no record.
    """
    found: dict[Node, str] = {}
    for number, record in whole_records(name):
        if not (id := _text(record.get(id_column))):
            raise BadInput(
                f"{name}:{number}: no {id_column}; it has: {listed(record)}; give every record one"
            )
        if (side, id) in found:
            raise BadInput(f"{name}:{number}: the {id_column} {id} stands there twice; make ids unique")
        values = ((key, _text(value)) for key, value in record.items() if key != id_column)
        found[side, id] = "; ".join(f"{key}: {value}" for key, value in values if value)
    if not found:
        raise BadInput(f"{name}: no rows; give a table with at least one record")
    return found


def read_answers(names: Sequence[str], ids: Ids) -> dict[int, dict[str, int]]:
    """Recorded answers: by row of a pair, workers and what they said; of a worker's answers to a pair the first counts.

    Answers to what is no candidate are left out, as are lines without a label.

    Raises:
        BadInput: a column is missing, a label is none, or a worker has no name.
    """
    rows, found = ids.rows(), dict[int, dict[str, int]]()
    for name in names:
        for number, record in whole_records(name):
            row = rows.get(frozenset(pair_of(record, ids.within, f"{name}:{number}")))
            if "label" not in record or "worker" not in record:
                raise BadInput(
                    f"{name}:{number}: no column worker or label; it has: {listed(record)}; give both"
                )
            if row is None or not _text(record["label"]):
                continue
            if not (worker := _text(record["worker"])):
                raise BadInput(f"{name}:{number}: an answer without a worker; name who gave it")
            found.setdefault(row, {}).setdefault(worker, label_of(record["label"], f"{name}:{number}"))
    return found


def read_truth(name: str, ids: Ids) -> np.ndarray:
    """The true cluster of every record, int64 (n,); a record of which nothing is said is alone.

    Args:
        name: of a file of pairs (left_id, right_id, label), or of clusters (cluster, id, and table where there are two).

    Raises:
        BadInput: neither, or a label that is none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {node: at for at, node in enumerate(ids.records)}
    joined: list[tuple[int, int]] = []
    first: dict[str, int] = {}
    for number, record in whole_records(name):
        if "cluster" in record and "id" in record:
            node = (LEFT if ids.within else _text(record.get("table")), _text(record["id"]))
            if node in place:
                joined.append((first.setdefault(_text(record["cluster"]), place[node]), place[node]))
            continue
        pair = pair_of(record, ids.within, f"{name}:{number}")
        if "label" not in record:
            raise BadInput(f"{name}:{number}: no column label, nor cluster and id; it has: {listed(record)}")
        if label_of(record["label"], f"{name}:{number}") and pair[0] in place and pair[1] in place:
            joined.append((place[pair[0]], place[pair[1]]))
    ends = np.array(joined, dtype=np.int64).reshape(-1, 2)
    shape = (len(place), len(place))
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape)
    return numbered(connected_components(graph, directed=False)[1])


@dataclass(frozen=True)
class Confusion:
    """Workers as they are known to err.

    Args:
        workers: their names.
        matrices: probability of each answer by what is right, float64 (w, 2, 2).
        activity: how much each answers, relative to the others, float64 (w,).
    """

    workers: Sequence[str]
    matrices: np.ndarray
    activity: np.ndarray


def read_confusion(name: str) -> Confusion:
    """Confusion matrices from rows (worker, truth, label, probability), as confusion.parquet of `sluice crowd aggregate`.

    Where there is a column `answers`, their sum is a worker's activity. A worker of whom nothing is known for one of the two truths
    is left out.

    Raises:
        BadInput: a column is missing, the probabilities of a worker do not sum to 1, or no worker is left.
    """
    given: dict[str, np.ndarray] = {}
    activity: dict[str, float] = {}
    for number, record in whole_records(name):
        if missing := [key for key in ("worker", "truth", "label", "probability") if key not in record]:
            raise BadInput(f"{name}:{number}: no column {listed(missing)}; it has: {listed(record)}")
        at, worker = f"{name}:{number}", _text(record["worker"])
        matrix = given.setdefault(worker, np.zeros((2, 2)))
        place = label_of(record["truth"], at), label_of(record["label"], at)
        matrix[place] = _probability(record["probability"], f"{at}: the probability")
        if place[1]:  # once for each truth
            activity[worker] = activity.get(worker, 0.0) + _number(record.get("answers", 0.5))
    known = {worker: matrix for worker, matrix in given.items() if matrix.any(axis=1).all()}
    for worker, matrix in known.items():
        if not np.allclose(matrix.sum(axis=1), 1, atol=1e-3):
            sums = listed([f"{one:g}" for one in matrix.sum(axis=1)])
            raise BadInput(f"{name}: the probabilities of {worker} sum to {sums}, by truth; make them 1")
    if not known:
        raise BadInput(f"{name}: no workers; give the confusion matrix of one at least")
    weight = np.array([max(activity.get(worker, 0.0), 1e-9) for worker in known])
    return Confusion(list(known), np.stack(list(known.values())), weight)


def pair_of(record: Mapping[str, object], within: bool, at: str) -> tuple[Node, Node]:
    """The two records of a line.

    Raises:
        BadInput: an id is missing.
    """
    found = []
    for names, table in ((_LEFT_IDS, LEFT), (_RIGHT_IDS, LEFT if within else RIGHT)):
        id = next((_text(record[name]) for name in names if name in record), None)
        if not id:
            what = "is empty" if id == "" else f"is missing; it has: {listed(record)}"
            raise BadInput(f"{at}: the {names[0]} {what}; give {_LEFT_IDS[0]} and {_RIGHT_IDS[0]}")
        found.append((table, id))
    return found[0], found[1]


def label_of(value: object, at: str) -> int:
    """1 for the same, 0 for different.

    Raises:
        BadInput: the label is something else.
    """
    text = _text(value).casefold().removesuffix(".0")
    if text not in _YES:
        raise BadInput(f"{at}: the label is {text or '(empty)'}; write 1 for the same and 0 for not")
    return _YES[text]


def _text(value: object) -> str:
    return " ".join(cell_text(value).split())


def _probability(value: object, what: str) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise BadInput(f"{what} is {_text(value) or '(empty)'}; give a number from 0 to 1")
    return number


def _number(value: object) -> float:
    """-1 where it is none."""
    try:
        return float(str(value))
    except ValueError:
        return -1.0
