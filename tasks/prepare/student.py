"""The model of a run: the tiny student, made from its corpus, or one that is given."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.prepare.documents import CORPUS
from tasks.run.folder import digest
from tasks.run.seeds import integer
from tasks.storage.tables import iterate_rows
from tasks.train.checkpoint import model_fingerprint
from tasks.train.settings import TinyStudentSettings
from tasks.train.threads import threads_for

BASE = "students/base"


def make_base(run: Path, settings: TinyStudentSettings, texts: Iterable[str] | None = None) -> None:
    """Make the tiny student in the run's folder, on texts, by default the corpus's."""
    from tasks.train.student import make_student

    make_student(
        run / BASE,
        (row["text"] for row in iterate_rows(run / CORPUS, ["text"])) if texts is None else texts,
        vocabulary=settings.student_vocabulary,
        width=settings.student_width,
        layers=settings.student_layers,
        pretrain_tokens=settings.pretrain_tokens,
        sequence_tokens=settings.sequence_tokens,
        seed=integer(settings.seed, "student"),
    )


def model_path(run: Path, model: str) -> str:
    """Folder, or name on a hub, of a run's model before any training on what is selected.

    Args:
        model: "tiny", or what was given.
    """
    return str(run / BASE) if model == "tiny" else model


def make_model(run: Path, settings: TinyStudentSettings, model: str) -> dict[str, Any]:
    """The tiny model, made on the corpus's raw text; one that is given stays where it is. Returns files, and a mark of it."""
    if model != "tiny":
        return {"files": [], "model": model_fingerprint(model) or model}
    with threads_for(model):
        make_base(run, settings)
    return {"files": [BASE], "model": digest(run / BASE)}
