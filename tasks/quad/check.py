"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import check_sources, fingerprint
from tasks.corpus.target import check_target
from tasks.prepare.stages import fields
from tasks.quad.settings import QuadSettings
from tasks.run.folder import absolute_path, check_runs_dir, check_unused, in_one_line, versions
from tasks.run.parallel import check_scheduler
from tasks.select.encode import check_encoder
from tasks.train.checkpoint import check_student, model_fingerprint


@in_one_line()
def absolute(settings: QuadSettings) -> QuadSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(
        update={
            "corpus": [absolute_path(source) for source in settings.corpus],
            "reference": absolute_path(settings.reference),
            "test": absolute_path(settings.test),
            "model": absolute_path(settings.model, "tiny"),
            "encoder": absolute_path(settings.encoder, "lsa"),
        }
    )


def input_fingerprints(settings: QuadSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    return {
        "corpus": fingerprint(settings.corpus),
        "reference": fingerprint([settings.reference]),
        "test": fingerprint([settings.test]) if settings.test else "",
        "encoder": "" if settings.encoder == "lsa" else model_fingerprint(settings.encoder),
        "model": "" if settings.model == "tiny" else model_fingerprint(settings.model),
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: QuadSettings) -> None:
    """What can be known without reading the corpus.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused("quad", settings)
    check_runs_dir("quad", settings)
    check_target(
        settings.reference,
        settings.test,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
        flag="--reference",
    )
    check_sources(settings.corpus, fields(settings))
    check_scheduler(settings.scheduler)
    if settings.encoder != "lsa":
        check_encoder(settings.encoder)
    check_student(settings.model, flag="--model")
