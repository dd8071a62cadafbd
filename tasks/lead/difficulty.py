"""The one look at every example before training, and the clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.corpus.target import Target
from tasks.lead.pool import pairs_of
from tasks.lead.settings import ChoosingSettings, LeadSettings
from tasks.prepare.documents import CORPUS
from tasks.prepare.student import model_path
from tasks.records import BadInput
from tasks.run.seeds import generator, integer
from tasks.select.cluster import top_terms
from tasks.select.coverage import Coverage
from tasks.select.idu import Choice
from tasks.select.levels import difficulty_levels, levels_in_tasks, task_clusters
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import write_json
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.lead.reference import Reference
    from tasks.train.format import Examples

Facts = dict[str, Any]

LOSSES, RATIOS = "stages/losses.npy", "stages/ratios.npy"
REFERENCE, WEIGHTS = "stages/reference.npy", "stages/weights.npy"
COVERAGE = "stages/coverage.safetensors"
LABELS, SHARES, CLUSTERS = "stages/labels.npy", "stages/shares.npy", "stages/clusters.json"
_SAMPLE = 10_000  # examples that coverage chooses among to tell clusters' shares


def difficulty(run: Path, settings: LeadSettings, pool: Facts, model: Facts) -> Facts:
    """The loss of each answer; if clusters are made by it, its ratio to that of the answer alone; if examples are drawn for a reference, how
    much each helps it.

    A forward pass over each example for each of these, the third with a backward one, as over the reference: the last before training.
    """
    from tasks.train.checkpoint import load_student
    from tasks.train.format import encode_pairs
    from tasks.train.training import Training

    pairs = pairs_of(run, range(pool["examples"]))
    reference = [(example.question, example.answer) for example in Target.load(run / "target").reference]
    with threads_for(settings.model):
        own, tokenizer = load_student(
            model_path(run, settings.model), lora=settings.lora, seed=settings.seed, flag="--model"
        )
        batch = Training(batch_tokens=settings.batch_tokens).rates(own)[1]
        examples = encode_pairs(tokenizer, pairs, settings.sequence_tokens)
        seen = look_at_all(
            own, tokenizer, pairs, examples, reference, settings, batch, settings.sequence_tokens
        )
    found = {LOSSES: seen.losses}
    if seen.ratios is not None:
        found[RATIOS] = seen.ratios
    if seen.reference is not None:
        found[REFERENCE] = seen.reference.sketch
        if seen.reference.weights is not None:
            found[WEIGHTS] = seen.reference.weights
    for name, array in found.items():
        save_array(run / name, array)
    if seen.coverage is not None:
        seen.coverage.save(run / COVERAGE)
    looks = sum(name in found for name in (LOSSES, RATIOS, WEIGHTS))
    return {
        "files": [*found, *([COVERAGE] if seen.coverage is not None else [])],
        "loss": float(seen.losses.mean()),
        "forward_passes": looks * len(pairs) + len(reference),
    }


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of n examples before training.

    Args:
        losses: of their answers, nats per token, (n,); ratios: IFD, (n,), if clusters are made by it.
        reference: what they are chosen for, if anything.
        coverage: of their answers, and what is wanted of them, if they are chosen by it.
    """

    losses: np.ndarray
    ratios: np.ndarray | None
    reference: Reference | None
    coverage: Coverage | None


def look_at_all(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    examples: Examples,
    reference: Sequence[tuple[str, str]],
    settings: ChoosingSettings,
    batch_tokens: int,
    sequence_tokens: int,
) -> Looked:
    """Everything that the settings want to know of the pairs, `examples` when tokenised; a reference of none is no reference."""
    from tasks.lead.play import sketch_of
    from tasks.lead.reference import kinds_of, look

    how = (batch_tokens, sequence_tokens)
    losses = mean_losses(model, examples, batch_tokens)
    ratios = ifd_ratios(model, tokenizer, pairs, losses, *how) if settings.arms == "difficulty" else None
    by_coverage = (settings.choice or default_choice(model, bool(reference))) == "coverage"
    known = covered = None
    if reference:
        kinds = kinds_of(reference, pairs, integer(settings.seed, "kinds"))
        weighed = examples if asks_for_help(settings, by_coverage) else None
        known = look(model, tokenizer, reference, kinds, weighed, sketch_of(model, settings), *how)
    if by_coverage:
        covered = make_coverage(tokenizer, examples, reference, sequence_tokens)
    return Looked(losses, ratios, known, covered)


def make_coverage(
    tokenizer: Any,
    examples: Examples,
    reference: Sequence[tuple[str, str]],
    sequence_tokens: int,
) -> Coverage:
    """Coverage of a pool, and of a reference if there is one; a reference of none is no reference."""
    from tasks.train.format import encode_pairs

    wanted = encode_pairs(tokenizer, reference, sequence_tokens) if reference else None
    return Coverage.of(examples, wanted)


def coverage_of(run: Path, settings: ChoosingSettings) -> Coverage | None:
    """That of a run's pool, if its examples are chosen by it.

    Raises:
        FileNotFoundError: they are, and it is not there.
    """
    if settings.choice == "coverage" or (settings.choice is None and (run / COVERAGE).is_file()):
        return Coverage.load(run / COVERAGE)
    return None


def looked(run: Path, settings: LeadSettings) -> Looked:
    """What is known of a run's pool.

    Raises:
        BadInput: what is needed is not there.
    """
    from tasks.lead.reference import Reference

    reference = None
    try:
        coverage = coverage_of(run, settings)
        if settings.reference:
            if coverage is not None and (run / WEIGHTS).exists():  # their coverage is of an older kind
                raise by_older(settings)
            weights = load_array(run / WEIGHTS) if asks_for_help(settings, coverage is not None) else None
            reference = Reference(load_array(run / REFERENCE), weights)
    except FileNotFoundError:
        raise by_older(settings) from None
    ratios = load_array(run / RATIOS) if settings.arms == "difficulty" else None
    return Looked(load_array(run / LOSSES), ratios, reference, coverage)


def asks_for_help(settings: ChoosingSettings, by_coverage: bool) -> bool:
    """Whether examples are chosen by how much each helps a reference, if there is one."""
    return not by_coverage and settings.choice != "random"


def default_choice(model: Any, has_reference: bool) -> Choice:
    """Counts of pairs of tokens are what a small model learns, and tell any model's reference from what is not like it; what else one
    lacks that knows the language they do not tell."""
    from tasks.train.training import is_small

    return "coverage" if has_reference or is_small(model) else "drawn"


def by_older(settings: LeadSettings) -> BadInput:
    """What is said of a run that lacks what one of this version has."""
    return BadInput(f"--resume {settings.run}: begun by an older Sluice; start a new run")


def mean_losses(model: Any, examples: Examples, batch_tokens: int) -> np.ndarray:
    """Mean loss of each answer's tokens after its question, nats, (n,)."""
    from tasks.train.evaluate import example_losses

    each = example_losses(model, examples, batch_tokens)
    return np.asarray(each.loss / each.answered)


def ifd_ratios(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    losses: np.ndarray,
    batch_tokens: int,
    sequence_tokens: int,
) -> np.ndarray:
    """IFD: the ratio of the losses to those of the answers alone, (n,).

    The answer alone is the pair with an empty question in the same template, so that both are means over the same tokens.
    """
    from tasks.train.format import encode_pairs

    answers = encode_pairs(tokenizer, [("", answer) for _, answer in pairs], sequence_tokens)
    alone = mean_losses(model, answers, batch_tokens)
    found: np.ndarray = losses / np.maximum(alone, 1e-6)
    return found


def make_arms(
    vectors: np.ndarray, losses: np.ndarray, ratios: np.ndarray | None, settings: ChoosingSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster of each example, int32 (n,), and the level of each cluster, int32 (k,).

    Args:
        vectors: of the examples, unit rows (n, d).
        losses, ratios: of their answers, (n,); the ratios are looked at with the setting `arms` "difficulty" alone.
    """
    if settings.arms == "task":
        seed = integer(settings.seed, "tasks")
        return levels_in_tasks(vectors, losses, settings.tasks or 7, settings.levels or 3, seed)
    if ratios is None:
        raise ValueError("levels of the IFD ratio without ratios")
    levels = difficulty_levels(ratios, settings.levels or 7, integer(settings.seed, "levels"))
    return task_clusters(vectors, levels, settings.tasks or 3, integer(settings.seed, "tasks"))


def first_shares(
    labels: np.ndarray, clusters: int, seen: Looked, share: float, settings: ChoosingSettings
) -> np.ndarray:
    """What the draws of K clusters begin at, (K,), above 0; see the setting `start`.

    Args:
        labels: cluster of each example, (n,).
        share: of the pool that will be chosen, at most.
    """
    sizes = np.bincount(labels, minlength=clusters)
    if settings.start == "even":
        return np.ones(clusters)
    if seen.reference is None:
        return sizes
    if seen.coverage is None:
        return np.bincount(labels, seen.reference.weights, clusters)
    some = generator(settings.seed, "shares").permutation(len(labels))[:_SAMPLE]
    is_some = np.zeros(len(labels), dtype=bool)
    is_some[some] = True
    count = max(1, round(share * len(some)))
    covering = seen.coverage.after(np.zeros(len(labels), dtype=np.int64), times=len(labels) / len(some))
    taken = covering.choose(is_some, is_some, count, count)
    # Where clusters without a share are the last ones open there would be nothing to draw by: one more is shared by their sizes.
    return np.bincount(labels[taken], minlength=clusters) + sizes / len(labels)


def clusters(run: Path, settings: LeadSettings, vectors: Facts, difficulty: Facts) -> Facts:
    """The arms: clusters of like examples of like difficulty."""
    seen = looked(run, settings)
    losses, ratios = seen.losses, seen.ratios
    labels, owners = make_arms(load_array(run / "vectors.npy"), losses, ratios, settings)
    terms = top_terms(run / CORPUS, labels, len(owners))
    save_array(run / LABELS, labels)
    save_array(run / SHARES, first_shares(labels, len(owners), seen, settings.budget, settings))
    described = [
        {
            "cluster": cluster,
            "level": int(level),
            "size": int((own := labels == cluster).sum()),
            "loss": float(losses[own].mean()),
            "ratio": None if ratios is None else float(ratios[own].mean()),
            "terms": " ".join(terms[cluster]),
        }
        for cluster, level in enumerate(owners)
    ]
    write_json(run / CLUSTERS, described)
    return {"files": [LABELS, SHARES, CLUSTERS], "levels": int(owners.max()) + 1, "clusters": len(owners)}
