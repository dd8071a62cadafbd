"""Influence of a round's pairs on the reference, by the student as it is in that round (Quad's score, arXiv 2409.16986)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.corpus.target import Target
from tasks.loop.pulls import extracted_pairs, round_folder
from tasks.loop.settings import EqualSettings
from tasks.loop.students import Facts, example_pairs, on_worker, training_of, where
from tasks.run.seeds import generator
from tasks.storage.arrays import load_array, save_array

INFLUENCE = "influence.npy"
_FITTED = 256  # pairs that the curvature is taken from


def judge_of(settings: EqualSettings, student: Facts) -> Facts | None:
    """What the reward needs to know of the student of a round; None where it does not look at one."""
    if settings.reward != "influence":
        return None
    return {"student": student["student"], "digest": student.get("digest", "")}


@on_worker
def pair_influence(run: Path, settings: EqualSettings, at: Path, number: int, student: Facts) -> Facts:
    """Score the pairs extracted in a round by their influence on the reference.

    Writes influence.npy in the round's folder: float64 (n, 2), of each pair its influence, in tokens of the reference that
    would do as much, and the tokens that did it, those of its answer.

    Args:
        at: the run's folder, or that of a strategy it is compared with.
        student: whose gradients are compared, and from whose loss on the pairs so far the curvature is taken.
    """
    path = round_folder(at, number) / INFLUENCE
    earlier, pairs = list(extracted_pairs(at, 0, number - 1)), list(extracted_pairs(at, number, number))
    found = _scores(run, settings, earlier + pairs, pairs, student) if pairs else np.zeros((0, 2))
    save_array(path, found)
    return {"files": [str(path.relative_to(run))]}


def gains(at: Path, number: int) -> np.ndarray:
    """What the pairs of rounds 0..number do for the reference, (n,); nothing if they do harm, since they need not be kept."""
    found = [load_array(round_folder(at, one) / INFLUENCE)[:, 0] for one in range(number + 1)]
    return np.asarray(np.concatenate(found).clip(min=0.0))


def _scores(
    run: Path,
    settings: EqualSettings,
    so_far: list[tuple[str, str]],
    pairs: list[tuple[str, str]],
    student: Facts,
) -> np.ndarray:
    from tasks.select.influence.factors import fit_factors
    from tasks.select.influence.scores import Curvature, reference_direction, stream_scores
    from tasks.train.checkpoint import load_student
    from tasks.train.format import encode_pairs

    model, tokenizer = load_student(where(run, student["student"]), lora=settings.lora, seed=settings.seed)
    if settings.lora:
        # The layers as they are adapted; in float32, or rounding takes most of what little an adapter changes.
        model = model.float().merge_and_unload()
    drawn = generator(settings.seed, "influence").permutation(len(so_far))[:_FITTED]
    reference = example_pairs(Target.load(run / "target").reference)
    fitted, steering, candidates = (
        encode_pairs(tokenizer, some, settings.sequence_tokens)
        for some in ([so_far[row] for row in drawn], reference, pairs)
    )
    batch = training_of(settings, None).rates(model)[1]
    factors = fit_factors(model, fitted, batch_tokens=batch)
    direction = reference_direction(model, steering, Curvature(), factors, batch_tokens=batch)
    scores = stream_scores(model, direction, candidates, batch_tokens=batch)
    return np.column_stack([scores / direction.unit, candidates.loss_lengths])
