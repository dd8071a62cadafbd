"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.corpus.target import check_guides, check_target
from tasks.lead.settings import LeadSettings
from tasks.records import BadInput
from tasks.run.folder import absolute_file, absolute_path, check_runs_dir, check_unused, in_one_line, versions
from tasks.select.encode import check_encoder
from tasks.train.checkpoint import check_student, model_fingerprint


@in_one_line()
def absolute(settings: LeadSettings) -> LeadSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(
        update={
            **{name: absolute_file(getattr(settings, name)) for name in ("data", "test", "reference")},
            "encoder": absolute_path(settings.encoder, "lsa"),
            "model": absolute_path(settings.model, "tiny"),
        }
    )


def input_fingerprints(settings: LeadSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    return {
        "data": fingerprint([settings.data]),
        "test": fingerprint([settings.test]) if settings.test else "",
        "reference": fingerprint([settings.reference]) if settings.reference else "",
        "encoder": "" if settings.encoder == "lsa" else model_fingerprint(settings.encoder),
        "model": "" if settings.model == "tiny" else model_fingerprint(settings.model),
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: LeadSettings) -> None:
    """What can be known without reading all of the data.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused("lead", settings)
    check_runs_dir("lead", settings)
    check_target(
        settings.data,
        settings.test,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
        flag="--data",
        test_share=settings.test_share,
        seed=settings.seed,
        ngram=settings.decontamination_ngram,
    )
    if settings.reference:
        if settings.reward != "gain":
            raise BadInput(f"--reward {settings.reward}: does not look at --reference; leave one of them out")
        check_guides(
            settings.reference, question_field=settings.question_field, answer_field=settings.answer_field
        )
    if settings.encoder != "lsa":
        check_encoder(settings.encoder)
    check_student(
        settings.model, lora=settings.lora, flag="--model", sequence_tokens=settings.sequence_tokens
    )
