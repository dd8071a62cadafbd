"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.prepare.check import absolute_paths, check_corpus, fingerprints
from tasks.quad.settings import QuadSettings
from tasks.run.folder import absolute_path, in_one_line
from tasks.train.checkpoint import check_student


@in_one_line()
def absolute(settings: QuadSettings) -> QuadSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    own = {"model": absolute_path(settings.model, "tiny")}
    return settings.model_copy(update={**absolute_paths(settings), **own})


def input_fingerprints(settings: QuadSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    return fingerprints(settings, student="model")


@in_one_line()
def check_inputs(settings: QuadSettings) -> None:
    """What can be known without reading the corpus.

    Raises:
        BadInput: one line.
    """
    check_corpus("quad", settings)
    check_student(settings.model, flag="--model")
