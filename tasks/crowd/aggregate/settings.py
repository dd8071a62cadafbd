"""Settings of the flow: the form in the UI, the flags of `sluice crowd aggregate`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.crowd.settings import ANSWERS, AnswersSettings
from tasks.run.settings import group

_INFER = group("Truth inference")
_WORKERS = group("Workers")
_OUTPUT = group("Output")

OF_NUMBERS = ("mean", "median", "lfc_n")
OF_BOTH = ("pm", "catd")


class AggregateSettings(AnswersSettings):
    """Say what is right, and who is reliable, where several workers answered and differ."""

    # --- answers
    golden: Annotated[str, Field(json_schema_extra=ANSWERS)] = ""
    """Tasks whose right label is known (columns task, and label or truth): they are not inferred, and show how reliable workers are."""

    positive: Annotated[str, Field(json_schema_extra=ANSWERS)] = ""
    """Of two labels the one that F1 is of; by default the second in order. Only with truth."""

    # --- inference
    method: Annotated[
        Literal[
            "mv", "zc", "ds", "lfc", "ibcc", "cvb", "glad", "pm", "catd", "mace", "mean", "median", "lfc_n"
        ],
        Field(json_schema_extra=_INFER),
    ] = "ds"
    """How truth is inferred. mv: votes; zc: a reliability per worker; ds: a confusion matrix per worker (Dawid and Skene); lfc: the
    same with prior counts; ibcc: the same and variational, the least hasty with few answers; cvb: each answer weighed by its worker's
    other answers and by what the crowd is like; glad: a difficulty per task too; pm, catd: votes by weight; mace: who
    guesses. For numbers: mean, median, lfc_n (by precision), pm, catd."""

    numbers: Annotated[bool, Field(json_schema_extra=_INFER)] = False
    """Labels are numbers, of which pm and catd take a centre; mean, median and lfc_n always do."""

    compare: Annotated[bool, Field(json_schema_extra=_INFER)] = True
    """Show in the report where the other quick methods would differ (all but glad and mace)."""

    # --- workers
    least_accuracy: Annotated[float | None, Field(gt=0, lt=1, json_schema_extra=_WORKERS)] = None
    """Leave out workers whose accuracy is below this even at the upper bound of its interval: on golden tasks if there are any, or else
    as the inference expects it of them. By default nobody is left out."""

    confidence: Annotated[float, Field(gt=0.5, lt=1, json_schema_extra=_WORKERS)] = 0.95
    """Confidence of that bound."""

    # --- output
    output: Annotated[str, Field(json_schema_extra=_OUTPUT)] = ""
    """File for the labels besides the run's own; workers.csv is written into the same folder. Both may be there from an earlier run, and
    are then written anew; no other file is overwritten."""

    @property
    def of_numbers(self) -> bool:
        """Whether labels are numbers."""
        return self.numbers or self.method in OF_NUMBERS

    @property
    def title(self) -> str:
        return f"by {self.method}"

    @model_validator(mode="after")
    def _fits(self) -> AggregateSettings:
        if self.numbers and self.method not in (*OF_NUMBERS, *OF_BOTH):
            raise ValueError(
                f"--numbers: not with --method {self.method}; take mean, median, lfc_n, pm or catd"
            )
        if self.positive and (self.of_numbers or not self.truth):
            raise ValueError("--positive: it is F1 of labels that needs it, with --truth; leave it out")
        if self.of_numbers and self.least_accuracy is not None:
            raise ValueError("--least-accuracy: numbers are not right or wrong; leave it out")
        if len({self.task, self.worker, self.label}) < 3:
            raise ValueError("--task, --worker and --label: name three different columns")
        return self
