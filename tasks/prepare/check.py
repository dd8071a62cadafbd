"""The cheap checks of a corpus and of examples before anything starts, which flows that choose among documents share."""

from __future__ import annotations

from typing import Any

from tasks.corpus.prepare import check_documents
from tasks.corpus.read import check_sources, fingerprint
from tasks.corpus.target import check_target
from tasks.prepare.settings import CorpusSettings
from tasks.prepare.stages import fields, reading
from tasks.run.folder import absolute_file, absolute_path, check_runs_dir, check_unused, versions
from tasks.run.parallel import check_scheduler
from tasks.select.encode import check_encoder
from tasks.train.checkpoint import model_fingerprint


def absolute_paths(settings: CorpusSettings) -> dict[str, Any]:
    """The fields whose local paths are made absolute; the names of what is built in stay, whatever lies in this folder."""
    return {
        "corpus": [absolute_file(source) for source in settings.corpus],
        settings.examples_field: absolute_file(settings.examples),
        "test": absolute_file(settings.test),
        "encoder": absolute_path(settings.encoder, "lsa"),
    }


def fingerprints(settings: CorpusSettings, student: str) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name: files' names, sizes and times; Sluice's own version.

    Models and data sets on a hub count by their names, which are settings.

    Args:
        student: the field that names the model.
    """
    model = getattr(settings, student)
    return {
        "corpus": fingerprint(settings.corpus),
        settings.examples_field: fingerprint([settings.examples]),
        "test": fingerprint([settings.test]) if settings.test else "",
        "encoder": "" if settings.encoder == "lsa" else model_fingerprint(settings.encoder),
        student: "" if model == "tiny" else model_fingerprint(model),
        "Sluice's version": versions()["sluice"],
    }


def check_corpus(flow: str, settings: CorpusSettings) -> None:
    """What is wrong with the run's place, the corpus, the examples, the scheduler and the encoder.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(flow, settings)
    check_runs_dir(flow, settings)
    check_target(
        settings.examples,
        settings.test,
        **settings.example_fields,
        flag=settings.examples_flag,
        test_share=settings.test_share,
        seed=settings.seed,
        ngram=settings.decontamination_ngram,
    )
    check_sources(settings.corpus, fields(settings))
    check_documents(settings.corpus, fields(settings), **reading(settings))
    check_scheduler(settings.scheduler)
    if settings.encoder != "lsa":
        check_encoder(settings.encoder)
