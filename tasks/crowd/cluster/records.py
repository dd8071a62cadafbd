"""The pairs and records of a run, read once in a process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks.corpus.formats import given_with
from tasks.crowd.cluster.read import LEFT, RIGHT, Ids, Node, read_candidates, read_table
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.crowd.cost.pairs import Candidates
from tasks.crowd.read import mark_of
from tasks.records import Reject


@dataclass(frozen=True)
class Read:
    """What a run reads.

    Args:
        texts: of each record, n; "" where no table is given.
        rejects: lines that were left out.
    """

    pairs: Candidates
    ids: Ids
    texts: Sequence[str]
    rejects: Sequence[Reject]


def candidates_of(settings: ClusterSettings) -> Read:
    """The pairs that settings name.

    Raises:
        BadInput: a file cannot be read, or says what cannot be.
    """
    given = [("--pairs", settings.pairs), ("--left", settings.left), ("--right", settings.right)]
    return _read(
        settings.pairs,
        settings.left,
        settings.right,
        settings.id_column,
        settings.score,
        settings.within,
        mark_of((flag, name) for flag, name in given if name),
    )


@lru_cache(maxsize=2)
def _read(pairs: str, left: str, right: str, id_column: str, score: str, within: bool, mark: str) -> Read:
    texts: dict[Node, str] = {}
    for flag, name, side in (("--left", left, LEFT), ("--right", right, RIGHT)):
        if name:
            with given_with(flag):
                texts |= read_table(name, id_column, side)
    with given_with("--pairs"):
        found, ids, rejects = read_candidates(pairs, score, within, list(texts) or None)
    return Read(found, ids, [texts.get(node, "") for node in ids.records], rejects)
