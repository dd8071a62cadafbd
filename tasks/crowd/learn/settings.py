"""Settings of both flows: the forms in the UI, the flags of `sluice crowd classify` and `sluice crowd learn`, and settings.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tasks.crowd.settings import ANSWERS, AnswersSettings
from tasks.run.settings import group

_ITEMS = group("Items")
_LEARN = group("Learning")
_NETWORK = group("Network")

Method = Literal["mv", "ds-hard", "ds", "ds-pooled", "joint", "crowd-layer", "crowdlab"]


class CrowdLearningSettings(AnswersSettings):
    """What both flows are told."""

    flow: ClassVar[str] = ""
    leaves_model: ClassVar[bool] = False

    # --- items
    items: Annotated[str, Field(min_length=1, json_schema_extra=_ITEMS)]
    """Items, answered or not: CSV, JSON lines or Parquet with the name of the task and what it is classified by."""

    text: Annotated[str, Field(json_schema_extra=_ITEMS)] = ""
    """Column of the text to classify."""

    features: Annotated[list[str], Field(json_schema_extra=_ITEMS)] = []
    """Columns of numbers to classify by, A,B,...; without a text, by default all but the task. A cell may hold an array, as an
    embedding does (Parquet, JSON); rows of another shape than most are rejected."""

    # --- answers
    worker_prior: Annotated[str, Field(json_schema_extra=ANSWERS)] = ""
    """What another campaign knew of the same workers: confusion.parquet or workers.csv of its run. Used by ds, ds-hard, ds-pooled and joint."""

    prior_share: Annotated[float, Field(gt=0, le=1, json_schema_extra=ANSWERS)] = 1.0
    """Share of that campaign's answers that count here; less where the work is another."""

    # --- learning
    method: Annotated[Method, Field(json_schema_extra=_LEARN)] = "joint"
    """mv: votes; ds, ds-hard: Dawid and Skene's posterior, or its likeliest label; ds-pooled: with matrices drawn to that of all
    workers (two answers to an item or more); joint: a classifier and confusion matrices in turns;
    crowd-layer: a network under a matrix for each worker; crowdlab: by cleanlab, where it is installed."""

    folds: Annotated[int, Field(ge=2, le=50, json_schema_extra=_LEARN)] = 5
    """Parts of the items answered, each judged by a network trained on the others (joint, crowdlab)."""

    # --- network
    encoder_dimensions: Annotated[int, Field(ge=2, le=4096, json_schema_extra=_NETWORK)] = 256
    """Dimensions of the vectors of texts (LSA, fitted on all items)."""

    width: Annotated[int, Field(ge=4, le=8192, json_schema_extra=_NETWORK)] = 128
    """Units of each hidden layer of the network."""

    epochs: Annotated[int | None, Field(ge=1, le=1000, json_schema_extra=_NETWORK)] = None
    """Passes over the rows; by default 20, and 300 steps at least."""

    learning_rate: Annotated[float, Field(gt=0, json_schema_extra=_NETWORK)] = 1e-3
    """Of AdamW."""

    batch: Annotated[int, Field(ge=2, le=4096, json_schema_extra=_NETWORK)] = 64
    """Rows of a batch."""

    @property
    def title(self) -> str:
        return f"by {self.method}"

    @field_validator("features")
    @classmethod
    def _at_commas(cls, names: list[str]) -> list[str]:
        return [name.strip() for one in names for name in one.split(",") if name.strip()]

    @model_validator(mode="after")
    def _fits(self) -> CrowdLearningSettings:
        if len({self.task, self.worker, self.label}) < 3:
            raise ValueError("--task, --worker and --label: name three different columns")
        if self.worker_prior and self.method not in ("ds", "ds-hard", "ds-pooled", "joint"):
            raise ValueError(f"--worker-prior: --method {self.method} has no use for it; leave it out")
        if self.prior_share != 1 and not self.worker_prior:
            raise ValueError("--prior-share: it is of --worker-prior; give that too, or leave this out")
        return self


class ClassifySettings(CrowdLearningSettings):
    """Label items by what workers answered and by what the items are: a classifier helps where answers are few or differ."""

    flow: ClassVar[str] = "crowd-classify"


class LearnSettings(CrowdLearningSettings):
    """Train a classifier for items that nobody labelled on the answers of workers who differ."""

    flow: ClassVar[str] = "crowd-learn"
    leaves_model: ClassVar[bool] = True

    unlabelled: Annotated[Literal["none", "pseudo", "spread"], Field(json_schema_extra=_LEARN)] = "none"
    """What becomes of the items that nobody answered. none: they are predicted, and not learned from; pseudo: those whose label a first
    network is sure of are trained on too; spread: all are, by label spreading over their neighbours."""
