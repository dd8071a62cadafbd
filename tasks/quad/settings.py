"""Settings of the Quad flow: the form in the UI, the flags of `sluice quad`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tasks.prepare.settings import CorpusSettings
from tasks.run.settings import group
from tasks.train.settings import TinyStudentSettings

Score = Literal["cosine", "influence"]

_TARGET = group("Target")
_BUDGET = group("Budget")
_MODEL = group("Model and influence")
_VISITS = group("Visits")
_TRAIN = group("Train")


class QuadSettings(TinyStudentSettings, CorpusSettings):
    """Choose pre-training data by influence and diversity: visit clusters, score a few documents of each, buy what helps."""

    examples_field: ClassVar[str] = "reference"
    examples_may_be_texts: ClassVar[bool] = True

    # --- target
    reference: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)]
    """Examples whose loss is to fall, each with a question and an answer (whose loss counts) or with a text: JSONL, CSV or
    Parquet, or doctest:MODULE,..."""

    # --- budget
    budget: Annotated[float, Field(gt=0, le=1, json_schema_extra=_BUDGET)] = 0.05
    """Share of the corpus's tokens to select."""

    budget_tokens: Annotated[int | None, Field(ge=1, json_schema_extra=_BUDGET)] = None
    """Tokens to select, as the corpus counts them; wins over the share."""

    scored: Annotated[float | None, Field(gt=0, le=1, json_schema_extra=_BUDGET)] = None
    """Share of the documents to score with linucb, by default four times the budget's share (twelve documents at least); with
    neighbours the share that may be scored, by default half, and what is then missing of the budget comes from the best of what was
    not bought."""

    # --- model and influence
    model: Annotated[str, Field(min_length=1, json_schema_extra=_MODEL)] = "tiny"
    """The model that the data is for: "tiny", which is made here, or name or path of a causal language model."""

    checkpoints: Annotated[list[str], Field(json_schema_extra=_MODEL)] = []
    """Earlier checkpoints of --model, as folders or names; a document's score is then the mean over it and them. One of them
    is in memory at a time, so each is loaded anew in every round."""

    layers: Annotated[Literal["attention", "mlp", "all"], Field(json_schema_extra=_MODEL)] = "attention"
    """Linear layers that influence is measured on; attention's projections as in the paper."""

    score: Annotated[Score, Field(json_schema_extra=_MODEL)] = "influence"
    """influence: on the loss of the reference, per token, 1 as much as a token of the reference itself has, as in the paper. cosine:
    of the angle between a document's gradient and the direction that influence is taken along, -1 to 1, which does not
    favour what the model is worst at."""

    damping: Annotated[float | None, Field(gt=0, json_schema_extra=_MODEL)] = None
    """Added to the curvature's eigenvalues; by default a tenth of their mean in each layer."""

    projection: Annotated[int | None, Field(ge=2, json_schema_extra=_MODEL)] = None
    """Project the inputs and outputs of those layers to so many dimensions, at random: for models whose layers are so wide
    that their curvature does not fit. Scores are then estimates."""

    memory: Annotated[float, Field(gt=0, json_schema_extra=_MODEL)] = 1.0
    """GiB to hold at once while the curvature is taken, beside the model, a batch and what is kept of the layers (some three
    matrices of each); less takes longer, and changes no score."""

    curvature_documents: Annotated[int, Field(ge=2, json_schema_extra=_MODEL)] = 256
    """Random documents that the curvature is taken from."""

    sequence_tokens: Annotated[int, Field(ge=32, json_schema_extra=_MODEL)] = 512
    """Tokens that the model reads at once; longer documents are scored, and trained on, in parts."""

    batch_tokens: Annotated[int, Field(ge=32, json_schema_extra=_MODEL)] = 4096
    """Tokens of a batch when documents are scored, padding included; bounds the memory and changes no score."""

    # --- visits
    strategy: Annotated[Literal["linucb", "neighbours"], Field(json_schema_extra=_VISITS)] = "linucb"
    """Which documents are scored. linucb: those that one regression over all documents expects most of, or knows least of; bought
    are then the best of all. neighbours: blocks of the clusters that the paper's bandit visits, where a visit tells clusters
    near by; bought is what is above a threshold (the settings below)."""

    radius: Annotated[float | None, Field(gt=0, le=2, json_schema_extra=_VISITS)] = None
    """Clusters nearer than this (1 - cosine of centroids) learn from each other's visits; by default so that half of them
    have a neighbour."""

    alpha: Annotated[float, Field(ge=0, json_schema_extra=_VISITS)] = 0.1
    """Weight of the bonus for clusters that little is known of, in standard deviations of the scores seen so far."""

    visits: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=_VISITS)] = 16
    """Clusters that a round visits; a round of linucb scores no more documents than a block of each would be, and no more than a
    twelfth of all that it scores."""

    block: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=_VISITS)] = 8
    """Documents of a cluster that are scored first."""

    buy: Annotated[Literal["blocks", "documents"], Field(json_schema_extra=_VISITS)] = "documents"
    """What of what was scored is bought: the documents whose own score is above the threshold; or, as in the paper, every
    document of a visit whose mean score is."""

    more_blocks: Annotated[int, Field(ge=0, le=100, json_schema_extra=_VISITS)] = 1
    """Further blocks of a visit whose interval does not yet tell whether the cluster's mean is above the threshold."""

    confidence: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_VISITS)] = 0.9
    """Confidence of that interval, and of those in the report."""

    tau_quantile: Annotated[float | None, Field(gt=0, lt=1, json_schema_extra=_VISITS)] = None
    """The threshold tau, as a quantile of all documents' scores, estimated from those scored so far; by default so that twice
    the budget is above it."""

    # --- train
    train: Annotated[bool, Field(json_schema_extra=_TRAIN)] = True
    """Continue the model's pre-training on the selection, and judge it on held-out examples."""

    epochs: Annotated[float, Field(gt=0, le=100, json_schema_extra=_TRAIN)] = 1.0
    """Passes over the selection."""

    learning_rate: Annotated[float | None, Field(gt=0, json_schema_extra=_TRAIN)] = None
    """Peak of the cosine schedule; by default 1e-3 for a small model, 1e-5 for others."""

    @property
    def title(self) -> str:
        return f"influence on {self.layers}"
