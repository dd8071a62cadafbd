"""A round of the loop: choose arms, extract their documents, reward the arms. State lives in the round's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.loop import influence
from tasks.loop.asking import losses_by, reductions_by
from tasks.loop.keep import choose_pairs, kept_mask, tried_amounts
from tasks.loop.plan import Plan
from tasks.loop.pulls import extract_rows, round_folder
from tasks.loop.settings import EqualSettings
from tasks.loop.space import document_space, is_aligned, reference_space, to_space
from tasks.prepare.documents import CORPUS
from tasks.prepare.vectors import pair_text
from tasks.run.parallel import current_mapper
from tasks.run.seeds import generator, integer
from tasks.select.arms import Pull, Strategy
from tasks.select.bandit import BANDITS, BY_DOCUMENT, WITH_PRIOR, arms_of, cluster_prior, make_strategy
from tasks.select.cluster import kmeans
from tasks.select.influence.reward import InfluenceReward
from tasks.select.linucb import standardised
from tasks.select.ranked import gumbel_scores, similarity_to
from tasks.select.transport import (
    Reward,
    SimilarityReward,
    TransportReward,
    similarity_cost,
    transport_cost,
)
from tasks.select.tsds import tsds_scores
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import ARMS, PAIRS, read_json, read_rows, write_json, write_table

Facts = dict[str, Any]

KNOWN = "known.npy"
_REWARD_FILES = ("pairs.parquet", "space.npy", "arms.parquet", "state.json", "rewards.json")
# For the figure that judges, bounded so that 'everything' can be judged as well: blocks of 512 pairs, 4 of them.
_JUDGED_PAIRS, _JUDGED_BLOCK = 2048, 512


def start(
    run: Path,
    settings: EqualSettings,
    warm: Facts,
    clusters: Facts,
    strategy: str,
    folder: str = "",
    taught: Facts | None = None,
    judge: Facts | None = None,
) -> Facts:
    """The arms before the first round: what the warm-up read counts as a pull of each arm it fell into.

    Args:
        strategy: the run's own, or one it is compared with.
        folder: that strategy's folder below the run's.
        taught: the students who say what a pair teaches; see `asking.taught`.
        judge: the student by whom influence is judged; see `influence.judge_of`.
    """
    at = run / folder
    save_array(round_folder(at, 0) / KNOWN, _known(run, settings, strategy))
    made = _strategy(run, settings, strategy, at)
    read = [row["row"] for row in read_rows(round_folder(at, 0) / "reads.parquet", ["row"])]
    made.mark_read(read)
    labels = load_array(run / "stages/labels.npy")
    pulls = [Pull(arm, rows, 0.0, 0.0) for arm, rows in arms_of(read, labels).items()]
    facts = _reward(run, settings, at, 0, made, pulls, pulled_before=0, taught=taught, judge=judge)
    return {**facts, "files": [*facts["files"], str((round_folder(at, 0) / KNOWN).relative_to(run))]}


def choose(
    run: Path,
    settings: EqualSettings,
    number: int,
    plan: Facts,
    before: Facts,
    strategy: str,
    folder: str = "",
) -> Facts:
    """Choose the arms to pull, and of each the documents to read."""
    at = run / folder
    spread = Plan.from_dict(plan)
    made = _strategy(run, settings, strategy, at)
    made.restore(read_json(round_folder(at, number - 1) / "state.json"))
    pulls: list[Facts] = [
        {
            "arm": pull.arm,
            "rows": [int(row) for row in pull.rows],
            "exploit": pull.exploit,
            "bonus": None if np.isinf(pull.bonus) else pull.bonus,
            "pulls": pull.pulls,
        }
        for pull in made.choose(spread.documents[number - 1], spread.per_pull)
    ]
    write_json(round_folder(at, number) / "pulls.json", {"pulls": pulls, "strategy": made.state()})
    return {
        "files": [f"{round_folder(at, number).relative_to(run)}/pulls.json"],
        "documents": sum(len(pull["rows"]) for pull in pulls),
    }


def extract(run: Path, settings: EqualSettings, number: int, chosen: Facts, folder: str = "") -> Facts:
    """Extract the pairs of the chosen documents on Dask, each document once."""
    at = run / folder
    rows = [row for pull in _pulls(at, number) for row in pull.rows.tolist()]
    return extract_rows(run, at, settings, number, rows)


def reward(
    run: Path,
    settings: EqualSettings,
    number: int,
    before: Facts,
    extracted: Facts,
    strategy: str,
    folder: str = "",
    taught: Facts | None = None,
    judge: Facts | None = None,
    weigh: bool = False,
) -> Facts:
    """Reward the pulled arms for all their pairs so far, and tell the strategy.

    Args:
        weigh: try how many pairs to keep; see `weighs`.
    """
    at = run / folder
    made = _strategy(run, settings, strategy, at)
    made.restore(read_json(round_folder(at, number) / "pulls.json")["strategy"])
    return _reward(run, settings, at, number, made, _pulls(at, number), before["pulls"], taught, judge, weigh)


def weighs(number: int, rounds: int) -> bool:
    """Whether it is tried in that round how many pairs to keep: when there are twice as many as the last time, and in the end."""
    return number == rounds or number.bit_count() == 1


def judged_transport(parts: Sequence[np.ndarray], examples: np.ndarray, seed: int) -> float | None:
    """Transport cost between kept pairs and a part of the target, in the encoder's own space; None without pairs.

    On a seeded sample of at most 2,048 pairs in random order. The cost of a few pairs is higher than that of many of the
    same kind, until there are some 256.

    Args:
        parts: vectors of the pairs, one array (n_i, d) per round; may be memory-mapped.
        examples: (m, d).
    """
    starts = np.cumsum([0, *map(len, parts)])
    order = generator(seed, "judge").permutation(starts[-1])[:_JUDGED_PAIRS]
    if not len(order):
        return None
    part = np.searchsorted(starts, order, side="right") - 1
    vectors = np.stack([parts[which][row - starts[which]] for which, row in zip(part, order, strict=True)])
    return transport_cost(vectors, np.asarray(examples), block=_JUDGED_BLOCK, seed=seed)


def kept_vectors(folder: Path, last: int) -> list[np.ndarray]:
    """Vectors of the pairs of each round up to `last` that are kept after it, in the encoder's own space, (n_i, d).

    Memory-mapped where all are kept.
    """
    parts = [load_array(round_folder(folder, number) / "vectors.npy") for number in range(last + 1)]
    mask = kept_mask(folder, last)
    if mask is None:
        return parts
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [np.asarray(part)[own] for part, own in zip(parts, np.split(mask, ends), strict=True)]


def _reward(
    run: Path,
    settings: EqualSettings,
    at: Path,
    number: int,
    strategy: Strategy,
    pulls: Sequence[Pull],
    pulled_before: int,
    taught: Facts | None,
    judge: Facts | None,
    weigh: bool = False,
) -> Facts:
    here = round_folder(at, number)
    labels = load_array(run / "stages/labels.npy")
    reference = reference_space(run)
    terms = read_json(run / "stages/terms.json")
    sizes = np.bincount(labels, minlength=len(terms))
    pairs = read_rows(here / "extracted.parquet")
    texts = [pair_text(pair["question"], pair["answer"]) for pair in pairs]
    vectors = to_space(run, settings, load_array(here / "vectors.npy"), texts)
    save_array(here / "space.npy", vectors)
    reads = {row["document_id"]: row for row in read_rows(here / "reads.parquet")}
    pair_rows = np.array([reads[pair["document_id"]]["row"] for pair in pairs], dtype=np.int64)
    pair_arms = labels[pair_rows] if len(pairs) else np.zeros(0, dtype=np.int64)
    nearest = (vectors @ reference.T).max(axis=1) if len(pairs) else np.zeros(0)
    # The arms' rewards of a compared strategy that does not choose by them are seen by nobody: the cheap ones do.
    chooses_by_it = strategy.name in BANDITS or (
        settings.reward == "influence" and strategy.name in BY_DOCUMENT
    )
    kind = settings.reward if at == run or chooses_by_it else "similarity"
    files = list(_REWARD_FILES)
    told, gain = vectors, None
    if kind == "influence":
        assert judge is not None
        influence.pair_influence(run, settings, at=at, number=number, student=judge)
        told, gain = load_array(here / influence.INFLUENCE), influence.gains(at, number)
        files.append(influence.INFLUENCE)
    rewards = _rewards(settings, reference, kind)
    counts = _restore(rewards, at, number, {pull.arm for pull in pulls})
    documents = {row["row"]: row for row in reads.values()}

    arms = []
    for order, pull in enumerate(pulls, start=pulled_before):
        own = np.flatnonzero(pair_arms == pull.arm)
        rewards.add(pull.arm, told[own])
        value = rewards.reward(pull.arm)
        strategy.update(pull.arm, value, pull.pulls)
        for position in own:
            pairs[position].update(
                cluster=int(pull.arm), pull=order, similarity=float(nearest[position]), arm_reward=value
            )
        tokens, cost = (sum(documents[int(row)][field] for row in pull.rows) for field in ("tokens", "cost"))
        arms.append(
            {
                "pull": order,
                "round": number,
                "arm": int(pull.arm),
                "terms": ", ".join(terms[pull.arm]),
                "size": int(sizes[pull.arm]),
                "remaining": strategy.remaining(pull.arm),
                "pulls": strategy.pulls(pull.arm),
                "documents": len(pull.rows),
                "tokens": tokens,
                "cost": cost,
                "pairs": len(own),
                "arm_pairs": counts.get(pull.arm, 0) + len(own),
                "reward": value,
                "exploit": pull.exploit,
                "bonus": pull.bonus,
            }
        )
    write_table(here / "pairs.parquet", pairs, PAIRS)
    write_table(here / "arms.parquet", arms, ARMS)
    losses = losses_by(run, settings, taught) if weigh else None
    chosen = choose_pairs(
        run, settings, at, number, strategy, reductions_by(run, settings, taught), gain, losses
    )
    write_json(here / "state.json", strategy.state())
    write_json(here / "rewards.json", {str(pull.arm): rewards.state(pull.arm) for pull in pulls})
    kept = kept_vectors(at, number)
    return {
        "files": [f"{here.relative_to(run)}/{name}" for name in (*files, *chosen)],
        "pulls": pulled_before + len(pulls),
        "pairs_total": sum(map(len, kept)),
        "amounts": tried_amounts(at, number),
        "reward_best": max((arm["reward"] for arm in arms), default=None),
        "transport_heldout": judged_transport(kept, load_array(run / "stages/test.npy"), settings.seed),
    }


def _rewards(settings: EqualSettings, reference: np.ndarray, kind: str) -> Reward:
    if kind == "similarity":
        return SimilarityReward(reference)
    if kind == "influence":
        return InfluenceReward()
    return TransportReward(reference, seed=integer(settings.seed, "reward"))


def _restore(rewards: Reward, at: Path, number: int, arms: set[int]) -> dict[int, int]:
    """Continue the rewards of the arms just pulled from their earlier pairs; the others did not change.

    Returns:
        Number of earlier pairs of each of those arms.
    """
    pairs: dict[int, list[np.ndarray]] = {}
    states: dict[str, list[float]] = {}
    for earlier in range(number):
        here = round_folder(at, earlier)
        clusters = np.array([row["cluster"] for row in read_rows(here / "pairs.parquet", ["cluster"])])
        vectors = load_array(here / "space.npy")
        for arm in arms & set(clusters.tolist()):
            pairs.setdefault(arm, []).append(vectors[np.flatnonzero(clusters == arm)])
        states.update(read_json(here / "rewards.json"))
    for arm in sorted(pairs):
        rewards.restore(arm, states[str(arm)], np.concatenate(pairs[arm]))
    return {arm: sum(map(len, vectors)) for arm, vectors in pairs.items()}


def _pulls(at: Path, number: int) -> list[Pull]:
    saved = read_json(round_folder(at, number) / "pulls.json")["pulls"]
    return [
        Pull(
            pull["arm"],
            np.array(pull["rows"], dtype=np.int64),
            pull["exploit"],
            np.inf if pull["bonus"] is None else pull["bonus"],
            pull["pulls"],
        )
        for pull in saved
    ]


def _strategy(run: Path, settings: EqualSettings, name: str, at: Path) -> Strategy:
    return make_strategy(
        name,
        load_array(run / "stages/labels.npy"),
        np.asarray(load_array(round_folder(at, 0) / KNOWN)),
        load_array(run / "vectors.npy"),
        alpha=settings.alpha,
        seed=settings.seed,
    )


def _known(run: Path, settings: EqualSettings, name: str) -> np.ndarray:
    """What a strategy knows before it reads anything: scores of the documents, (n,) or (n, f), or the arms' priors (k,).

    A strategy that ranks reads nothing beforehand, so it has the encoder's own space and clusters, not those that were
    learnt on a warm-up.
    """
    if name in BANDITS:
        count = len(load_array(run / "stages/centroids.npy"))
        if name not in WITH_PRIOR:
            return np.zeros(count)
        labels, reference = load_array(run / "stages/labels.npy"), reference_space(run)
        cost = similarity_cost if settings.reward == "similarity" else transport_cost
        return cluster_prior(document_space(run), labels, count, reference, settings.seed, cost)
    vectors, reference = load_array(run / "vectors.npy"), load_array(run / "stages/reference.npy")
    if name == "mean-similarity":
        return similarity_to(reference, vectors)
    if name == "tsds":
        return tsds_scores(vectors, reference, seed=integer(settings.seed, "tsds"))
    if name == "linucb":
        return standardised([similarity_to(reference, vectors), importance_of(run)])
    if name == "nearest-cluster":
        labels, centroids = load_array(run / "stages/labels.npy"), load_array(run / "stages/centroids.npy")
        if is_aligned(run):
            found = kmeans(vectors, len(centroids), integer(settings.seed, "cluster"))
            labels, centroids = found.labels, found.centroids
        return np.asarray(similarity_to(reference, centroids)[labels])
    if name == "dsir":
        return gumbel_scores(importance_of(run), generator(settings.seed, "gumbel"))
    return np.zeros(len(vectors))  # random and everything: all alike, in random order


def importance_of(run: Path) -> np.ndarray:
    """DSIR's log weight of every document for the reference, (n,); computed once a run, whatever strategies want it."""
    from tasks.select.dsir import importance

    path = run / "stages/importance.npy"
    if not path.exists():
        examples = Target.load(run / "target").reference
        target = [pair_text(example.question, example.answer) for example in examples]
        save_array(path, importance(run / CORPUS, target, current_mapper()))
    return np.asarray(load_array(path))
