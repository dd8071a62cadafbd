"""The cheap checks before anything starts: one clear line for what cannot work, in well under a second."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.corpus.read import Fields, check_sources
from tasks.corpus.target import check_target
from tasks.loop.settings import EqualSettings
from tasks.records import BadInput
from tasks.run.folder import run_path
from tasks.run.parallel import check_scheduler
from tasks.select.encode import check_encoder
from tasks.train.checkpoint import check_student


def fields(settings: EqualSettings) -> Fields:
    return Fields(
        text=settings.text_field,
        id=settings.id_field,
        source=settings.source_field,
        hf_split=settings.hf_split,
    )


def absolute(settings: EqualSettings) -> EqualSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""

    def full(path: str) -> str:
        return str(Path(path).expanduser().resolve()) if path and Path(path).expanduser().exists() else path

    return settings.model_copy(
        update={
            "corpus": [full(source) for source in settings.corpus],
            "target": full(settings.target),
            "test": full(settings.test),
            "student": full(settings.student),
            "encoder": full(settings.encoder),
        }
    )


def check_inputs(settings: EqualSettings) -> None:
    """What can be known without reading the corpus.

    Raises:
        BadInput: one line.
    """
    if not settings.resume and run_path("equal", settings).exists():
        raise BadInput(
            f"--run {settings.run}: this name is used already; choose another, or continue it with --resume {settings.run}"
        )
    _check_runs_dir(settings)
    check_target(
        settings.target,
        settings.test,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
    )
    check_sources(settings.corpus, fields(settings))
    check_scheduler(settings.scheduler)
    if settings.encoder != "lsa":
        check_encoder(settings.encoder)
    elif settings.align == "full":
        raise BadInput(
            "--align full needs a transformers encoder; LSA has no weights to train: use --align linear"
        )
    if settings.train != "never":
        check_student(settings.student, lora=settings.lora)


def _check_runs_dir(settings: EqualSettings) -> None:
    """Whether the run's folder can be made: found out before a server and workers are started."""
    path = run_path("equal", settings)
    nearest = next(parent for parent in path.parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise BadInput(f"--runs-dir {settings.runs_dir}: {nearest} is not a folder that can be written to")
