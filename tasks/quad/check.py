"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.prepare.check import absolute_paths, check_corpus, fingerprints
from tasks.quad.settings import QuadSettings
from tasks.records import BadInput
from tasks.run.folder import absolute_path, in_one_line
from tasks.train.checkpoint import check_student, model_fingerprint


@in_one_line()
def absolute(settings: QuadSettings) -> QuadSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    own = {
        "model": absolute_path(settings.model, "tiny"),
        "checkpoints": [absolute_path(checkpoint) for checkpoint in settings.checkpoints],
    }
    return settings.model_copy(update={**absolute_paths(settings), **own})


def input_fingerprints(settings: QuadSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    found = fingerprints(settings, student="model")
    if settings.checkpoints:
        found["checkpoints"] = " ".join(map(model_fingerprint, settings.checkpoints))
    return found


@in_one_line()
def check_inputs(settings: QuadSettings) -> None:
    """What can be known without reading the whole corpus.

    Raises:
        BadInput: one line.
    """
    check_corpus("quad", settings)
    check_student(settings.model, flag="--model", sequence_tokens=settings.sequence_tokens)
    for checkpoint in settings.checkpoints:
        if settings.model == "tiny":
            raise BadInput("--checkpoints: of a --model that is given; the tiny one is made in one go")
        if checkpoint == "tiny":
            raise BadInput("--checkpoints tiny: give folders of models, or their names")
        check_student(checkpoint, flag="--checkpoints", sequence_tokens=settings.sequence_tokens)
