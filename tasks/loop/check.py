"""The cheap checks before anything starts: one clear line for what cannot work, in well under a second."""

from __future__ import annotations

from tasks.corpus.read import check_sources, fingerprint
from tasks.corpus.target import check_target
from tasks.llm.settings import check_model
from tasks.loop.settings import EqualSettings
from tasks.prepare.stages import fields
from tasks.records import BadInput
from tasks.run.folder import absolute_path, check_runs_dir, check_unused, in_one_line, versions
from tasks.run.parallel import check_scheduler
from tasks.select.encode import check_encoder
from tasks.train.checkpoint import check_student, model_fingerprint


@in_one_line()
def absolute(settings: EqualSettings) -> EqualSettings:
    """Local paths made absolute, so that a run can be continued from another folder.

    The names of what is built in stay, whatever lies in this folder.

    Raises:
        BadInput: one line.
    """

    return settings.model_copy(
        update={
            "corpus": [absolute_path(source) for source in settings.corpus],
            "target": absolute_path(settings.target),
            "test": absolute_path(settings.test),
            "student": absolute_path(settings.student, "tiny"),
            "model": settings.model if settings.is_remote else absolute_path(settings.model),
            "price_table": absolute_path(settings.price_table),
            "encoder": absolute_path(settings.encoder, "lsa"),
        }
    )


def input_fingerprints(settings: EqualSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name: files' names, sizes and times; Sluice's own version.

    Models and data sets on a hub count by their names, which are settings.
    """
    return {
        "corpus": fingerprint(settings.corpus),
        "target": fingerprint([settings.target]),
        "test": fingerprint([settings.test]) if settings.test else "",
        "encoder": "" if settings.encoder == "lsa" else model_fingerprint(settings.encoder),
        "student": "" if settings.student == "tiny" else model_fingerprint(settings.student),
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: EqualSettings) -> None:
    """What can be known without reading the corpus.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused("equal", settings)
    check_runs_dir("equal", settings)
    check_target(
        settings.target,
        settings.test,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
    )
    check_sources(settings.corpus, fields(settings))
    check_scheduler(settings.scheduler)
    if settings.extractor == "llm":
        check_model(settings, "--extractor llm")
    if settings.encoder != "lsa":
        check_encoder(settings.encoder)
    elif settings.align == "full":
        raise BadInput(
            "--align full needs a transformers encoder; LSA has no weights to train: use --align linear"
        )
    if settings.train != "never":
        check_student(settings.student, lora=settings.lora)
