"""Who is asked about what: prune, cluster by one method, refine, and audit what was not asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.crowd.cluster.pivot import crowd_pivot
from tasks.crowd.cluster.refine import refine
from tasks.crowd.cost.deduction import consistent, deduce
from tasks.crowd.cost.pairs import Candidates, Plan
from tasks.crowd.cost.pruning import sampled_band
from tasks.crowd.cost.sampling import Proportion, strata_by_score, stratified, stratified_size
from tasks.routing import Band

PIVOT, DEDUCE, ALL = "pivot", "deduce", "all"
ASKED, DEDUCED, CLUSTERED, PRUNED, TAKEN = "asked", "deduced", "clustered", "pruned", "taken"
AUDITED = "audited"
_STRATA = 4  # of scores, in an audit, for each way of deciding
_DISSENT = 0.1  # share of decisions that an audit is planned to find wrong


@dataclass(frozen=True, slots=True)
class Method:
    """How to spend questions.

    Args:
        name: PIVOT, DEDUCE or ALL.
        refine: split and merge what these leave, where that is expected to pay.
        below, above: pairs of scores up to `below` are no match and from `above` on are one, without asking.
        sample: pairs that are asked at random to choose those bounds instead; 0 for none.
        error, confidence: of that choice.
        audit: half width of the interval for the share of unasked pairs that the crowd would decide otherwise; 0 for no audit.
    """

    name: str = PIVOT
    refine: bool = True
    below: float = -1.0
    above: float = 2.0
    sample: int = 0
    error: float = 0.01
    confidence: float = 0.95
    audit: float = 0.0


@dataclass(frozen=True)
class Decided:
    """What a plan found.

    Args:
        cluster: of every record, numbered by first record, int64 (n,).
        how: ASKED, DEDUCED, CLUSTERED, PRUNED, TAKEN or AUDITED, of every pair, object (m,).
        match: what the crowd said of each pair, as a probability, float64 (m,); NaN where it was not asked.
        dropped: rows of answers that surer ones contradict, of DEDUCE and ALL, int64.
        band: scores between which pairs were asked.
        dissent: share of the pairs not asked that the crowd would decide otherwise; None without an audit.
    """

    cluster: np.ndarray
    how: np.ndarray
    match: np.ndarray
    dropped: np.ndarray
    band: Band
    dissent: Proportion | None


def make_plan(pairs: Candidates, method: Method, draw: Callable[[str], np.random.Generator]) -> Plan[Decided]:
    """The plan of a method.

    Args:
        draw: a random generator for a purpose.
    """
    nothing = np.full(len(pairs), np.nan)
    band, match = Band(method.below, method.above, 0), nothing
    if method.sample:
        band, match = yield from _listening(
            sampled_band(pairs, method.sample, method.error, method.confidence, draw("sample")), match
        )
    by_score = band.decisions(pairs.score)
    sampled = ~np.isnan(match)
    taken, asks = (by_score == 1) & ~sampled, (by_score == -1) | sampled
    given = np.where(taken, np.maximum(pairs.score, 0.5 + 1e-9), np.nan)
    dropped = np.zeros(0, dtype=np.int64)
    if method.name == PIVOT:
        rank = draw("pivots").permutation(pairs.records)
        cluster, match = yield from _listening(crowd_pivot(pairs, asks, taken, rank), match)
    else:
        asking = deduce(pairs, asks, _either(match, given)) if method.name == DEDUCE else _everything(asks)
        _, match = yield from _listening(asking, match)
        known, dropped = consistent(pairs, _either(match, given))
        cluster = known.clusters()
    followed = _same(pairs, cluster)
    if method.refine:
        cluster, match = yield from _listening(refine(pairs, asks, taken, match, cluster), match)
    same = _same(pairs, cluster)
    how = np.full(len(pairs), CLUSTERED, dtype=object)
    if method.name != PIVOT:
        how[same == followed] = DEDUCED
    how[(by_score == 0) & ~same] = PRUNED
    how[(by_score == 1) & same] = TAKEN
    how[~np.isnan(match)] = ASKED
    dissent = None
    if method.audit and (how != ASKED).any():
        dissent, match = yield from _listening(
            _audit(pairs, same, how, method.audit, method.confidence, draw("audit")), match
        )
        how[~np.isnan(match) & (how != ASKED)] = AUDITED
    return Decided(cluster, how, match, dropped, band, dissent)


def _everything(asks: np.ndarray) -> Plan[None]:
    if asks.any():
        yield np.flatnonzero(asks)


def _either(match: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What the crowd said, or what is given where it was not asked."""
    return np.where(np.isnan(match), given, match)


def _same(pairs: Candidates, cluster: np.ndarray) -> np.ndarray:
    """Which pairs are in one cluster, bool (m,)."""
    return np.asarray(cluster[pairs.left] == cluster[pairs.right])


def _listening(plan: Plan[Any], match: np.ndarray) -> Plan[Any]:
    """A part of a plan that asks nothing that is known already. Returns its result, and what the crowd has said by then."""
    sent: np.ndarray | None = None
    while True:
        try:
            rows = plan.send(sent)  # type: ignore[arg-type]
        except StopIteration as end:
            return end.value, match
        if len(fresh := rows[np.isnan(match[rows])]):
            match = yield fresh
        sent = match


def _audit(
    pairs: Candidates,
    same: np.ndarray,
    how: np.ndarray,
    error: float,
    confidence: float,
    random: np.random.Generator,
) -> Plan[Proportion]:
    """Ask a random sample of what was not asked, stratified by how it was decided and by score."""
    rows = np.flatnonzero(how != ASKED)
    stratum = np.zeros(len(rows), dtype=np.int64)
    for number, way in enumerate((PRUNED, TAKEN, DEDUCED, CLUSTERED)):
        of_way = how[rows] == way
        if of_way.any():
            stratum[of_way] = number * _STRATA + strata_by_score(pairs.score[rows[of_way]], _STRATA)
    stratum = np.unique(stratum, return_inverse=True)[1]
    sizes = np.bincount(stratum)
    counts = stratified_size(sizes, np.full(len(sizes), _DISSENT), error, confidence)
    drawn = [
        random.permutation(rows[stratum == number])[:count] for number, count in enumerate(counts.tolist())
    ]
    match = yield np.sort(np.concatenate(drawn))
    wrong = np.array([int(((match[part] > 0.5) != same[part]).sum()) for part in drawn])
    return stratified(sizes, counts, wrong, confidence)
