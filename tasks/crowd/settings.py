"""The fields of every operation that reads a table of answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.corpus.settings import RowsSettings
from tasks.run.settings import group

ANSWERS = group("Answers")


class AnswersSettings(RowsSettings):
    """Answers of workers to tasks, and what judges the result."""

    answers: Annotated[str, Field(min_length=1, json_schema_extra=ANSWERS)]
    """Answers: CSV, JSON lines or Parquet with a task, a worker and a label in each row."""

    task: Annotated[str, Field(min_length=1, json_schema_extra=ANSWERS)] = "task"
    """Column of the task, in every table."""

    worker: Annotated[str, Field(min_length=1, json_schema_extra=ANSWERS)] = "worker"
    """Column of the worker."""

    label: Annotated[str, Field(min_length=1, json_schema_extra=ANSWERS)] = "label"
    """Column of the label that the worker gave."""

    truth: Annotated[str, Field(json_schema_extra=ANSWERS)] = ""
    """Right labels (columns task, and truth or label) that judge the result, and steer nothing."""
