"""Settings of the BATCHER flow: the form in the UI, the flags of `sluice batcher`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.llm.settings import ModelSettings
from tasks.run.settings import group

_TABLES = group("Tables")
_LABELS = group("Labels")
_BLOCK = group("Blocking")
_BATCH = group("Batches and demonstrations")
_JUDGE = group("Judge")
_RESULT = group("Result")


class BatcherSettings(ModelSettings):
    """Find the records that mean the same: block, batch the questions, show few well-chosen demonstrations, judge, cluster."""

    # --- tables
    left: Annotated[str, Field(min_length=1, json_schema_extra=_TABLES)]
    """Records: CSV, JSON lines or Parquet, with an id."""

    right: Annotated[str, Field(json_schema_extra=_TABLES)] = ""
    """The other table; without it records are matched within the one (deduplication)."""

    pairs: Annotated[str, Field(json_schema_extra=_TABLES)] = ""
    """The pairs to decide (ltable_id, rtable_id); labels in it (1 or 0) only judge. Without it blocking finds the pairs."""

    id_column: Annotated[str, Field(min_length=1, json_schema_extra=_TABLES)] = "id"
    """Column of the records' ids."""

    attributes: Annotated[list[str], Field(json_schema_extra=_TABLES)] = []
    """Columns to compare and to show; by default those that both tables have. Leave out what gives the answer away."""

    # --- labels
    labels: Annotated[list[str], Field(json_schema_extra=_LABELS)] = []
    """Labelled pairs (ltable_id, rtable_id, label): the pool that demonstrations are taken from. Only the labels that are
    used count. Without them the pool is the pairs themselves, and a person labels."""

    label_by: Annotated[Literal["file", "form"], Field(json_schema_extra=_LABELS)] = "file"
    """How a person labels: in a CSV file of the run's folder, or in a form of the Prefect UI, for a few."""

    label_budget: Annotated[int | None, Field(ge=1, json_schema_extra=_LABELS)] = None
    """Labels to use, at most; by default as many as the selection asks for."""

    label_price: Annotated[float, Field(ge=0, json_schema_extra=_LABELS)] = 0.008
    """Price of a label, US dollars (the paper's)."""

    # --- blocking
    neighbours: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_BLOCK)] = 10
    """Most similar records to pair each record with."""

    minimum_similarity: Annotated[float, Field(gt=0, le=1, json_schema_extra=_BLOCK)] = 0.2
    """Cosine of character n-grams below which two records are no pair."""

    # --- batches and demonstrations
    features: Annotated[Literal["indel", "jaccard", "embedding"], Field(json_schema_extra=_BATCH)] = "indel"
    """What makes two pairs alike: a similarity for each attribute (Indel ratio, or Jaccard index of words), or the
    embedding of both records' text."""

    merged: Annotated[bool, Field(json_schema_extra=_BATCH)] = False
    """Compare all attributes as one text: far fewer demonstrations where attributes are often missing."""

    encoder: Annotated[str, Field(min_length=1, json_schema_extra=_BATCH)] = "lsa"
    """Of the embedding: 'lsa', or name or path of a transformers encoder."""

    batching: Annotated[Literal["random", "similarity", "diversity"], Field(json_schema_extra=_BATCH)] = (
        "diversity"
    )
    """Which questions share a prompt: any, like ones, or different ones."""

    selection: Annotated[
        Literal["fixed", "topk-batch", "topk-question", "covering", "all"], Field(json_schema_extra=_BATCH)
    ] = "covering"
    """Which demonstrations are labelled, and which of them a batch is shown; 'all' shows what covering labels, all of it, as
    one prefix that servers cache."""

    batch_size: Annotated[int, Field(ge=1, le=128, json_schema_extra=_BATCH)] = 8
    """Questions in a prompt."""

    demonstrations: Annotated[int | None, Field(ge=1, json_schema_extra=_BATCH)] = None
    """Demonstrations of 'fixed' and 'topk-batch' (8) and for each question of 'topk-question' (1)."""

    # --- judge
    judge: Annotated[Literal["matcher", "llm", "routed"], Field(json_schema_extra=_JUDGE)] = "matcher"
    """Who decides: a similarity matcher learnt from the labels, a language model (--model), or the matcher where it is sure
    and the model about the rest."""

    error: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_JUDGE)] = 0.05
    """routed: share of all pairs that the matcher may decide wrongly, at most."""

    confidence: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_JUDGE)] = 0.9
    """routed: with which confidence it keeps to that."""

    routing_labels: Annotated[int, Field(ge=1, json_schema_extra=_JUDGE)] = 200
    """routed: further labels, drawn at random from the pool, that the matcher is tried on."""

    # --- result
    threshold: Annotated[float, Field(ge=0, le=1, json_schema_extra=_RESULT)] = 0.5
    """Probability from which on the matcher calls a pair a match."""

    resolve: Annotated[Literal["clusters", "one-to-one"], Field(json_schema_extra=_RESULT)] = "clusters"
    """What matches make of the records: connected components, or at most one partner for each record."""

    @property
    def title(self) -> str:
        return f"{self.batching} + {self.selection}, {self.judge}"
