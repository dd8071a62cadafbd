"""The tiny student of a run, made from its corpus."""

from __future__ import annotations

from pathlib import Path

from tasks.prepare.documents import CORPUS
from tasks.run.seeds import integer
from tasks.run.tables import iterate_rows
from tasks.train.settings import TinyStudentSettings

BASE = "students/base"


def make_base(run: Path, settings: TinyStudentSettings) -> None:
    """Make the tiny student on the corpus's raw text, in the run's folder."""
    from tasks.train.student import make_student

    make_student(
        run / BASE,
        (row["text"] for row in iterate_rows(run / CORPUS, ["text"])),
        vocabulary=settings.student_vocabulary,
        width=settings.student_width,
        layers=settings.student_layers,
        pretrain_tokens=settings.pretrain_tokens,
        sequence_tokens=settings.sequence_tokens,
        seed=integer(settings.seed, "student"),
    )
