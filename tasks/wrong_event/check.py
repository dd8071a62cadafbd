"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.classify.table import Columns, Labelled, columns_of, read_labelled
from tasks.corpus.formats import is_small, path_of
from tasks.corpus.read import fingerprint
from tasks.records import BadInput
from tasks.run.folder import absolute_file, absolute_path, check_runs_dir, check_unused, in_one_line, versions
from tasks.select.encode import check_encoder
from tasks.train.checkpoint import check_student, model_fingerprint
from tasks.wrong_event.settings import WrongEventSettings


@in_one_line()
def absolute(settings: WrongEventSettings) -> WrongEventSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(
        update={
            **{name: absolute_file(getattr(settings, name)) for name in ("data", "test")},
            "encoder": absolute_path(settings.encoder, "lsa"),
            "student": absolute_path(settings.student, "tiny"),
        }
    )


def input_fingerprints(settings: WrongEventSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    own_student = settings.answer and settings.student != "tiny"
    return {
        "data": fingerprint([settings.data]),
        "test": fingerprint([settings.test]) if settings.test else "",
        "encoder": model_fingerprint(settings.encoder) if settings.pretrained else "",
        "student": model_fingerprint(settings.student) if own_student else "",
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: WrongEventSettings) -> None:
    """What can be known in a moment: of large data without reading them.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused("wrong_event", settings)
    check_runs_dir("wrong_event", settings)
    if bool(settings.label) == bool(settings.answer):
        raise BadInput(
            "give --label for rows with labels, or --answer for question-answer pairs, and not both"
        )
    if settings.answer:
        _check_pairs(settings)
        return
    columns = data_columns(settings)
    if is_small(path_of(settings.data)):
        read_data(settings, columns)
    if settings.test:
        columns_of(settings.test, settings.label, settings.text, columns.features, "--test")
    if settings.pretrained:
        check_encoder(settings.encoder)


def data_columns(settings: WrongEventSettings) -> Columns:
    """The columns that a run reads; of pairs the question is the text and the answer the label.

    Raises:
        BadInput: they are not there, or one stands for both.
    """
    if settings.answer:
        options = ("--answer", "--question")
        if settings.answer == settings.question:
            raise BadInput(f"--answer {settings.answer}: this is the question; name two columns")
        return columns_of(settings.data, settings.answer, settings.question, [], "--data", options)
    if settings.label == settings.text:
        raise BadInput(f"--text {settings.text}: this is the label; name two columns")
    return columns_of(settings.data, settings.label, settings.text, settings.features, "--data")


def read_data(settings: WrongEventSettings, columns: Columns) -> tuple[Labelled, list[str]]:
    """The rows of the data that can be used, and their classes.

    Raises:
        BadInput: too few can be used, or the labels are no classes.
    """
    data = read_labelled(settings.data, columns, "--data", max_broken=settings.max_broken)
    classes = sorted(set(data.labels))
    if len(classes) < 2:
        raise BadInput(
            f"--label {settings.label}: all {len(data)} rows are {classes[0]}; there must be two classes"
        )
    if len(classes) > len(data) / 2:
        raise BadInput(
            f"--label {settings.label}: {len(classes)} different labels in {len(data)} rows; name the column of the class"
        )
    return data, classes


def _check_pairs(settings: WrongEventSettings) -> None:
    for flag, given in (
        ("--text", settings.text),
        ("--features", settings.features),
        ("--test", settings.test),
    ):
        if given:
            raise BadInput(
                f"{flag} is of rows with labels; question-answer pairs have --question and --answer"
            )
    data_columns(settings)
    check_student(settings.student, sequence_tokens=settings.sequence_tokens)
