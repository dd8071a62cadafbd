"""Settings of `sluice crowd cluster`: the form in the UI, the command's flags, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.llm.settings import ModelSettings
from tasks.run.settings import group

_PAIRS = group("Pairs")
_CROWD = group("Crowd")
_METHOD = group("Method")
_COST = group("Cost")


class ClusterSettings(ModelSettings):
    """Find the records that mean the same by asking people or models about few pairs: prune, cluster as answers come in, deduce the rest."""

    # --- pairs
    pairs: Annotated[str, Field(min_length=1, json_schema_extra=_PAIRS)]
    """Candidate pairs with machine scores (left_id, right_id, probability), as predictions.csv of `sluice batcher`."""

    left: Annotated[str, Field(json_schema_extra=_PAIRS)] = ""
    """The records, to show them to people: CSV, JSON lines or Parquet with an id. Those without a pair become clusters of their own."""

    right: Annotated[str, Field(json_schema_extra=_PAIRS)] = ""
    """The other table, of the right ids; without it, where --left is given, all ids are of the one."""

    one_table: Annotated[bool, Field(json_schema_extra=_PAIRS)] = False
    """Where no table is given: left and right ids name records of one table."""

    id_column: Annotated[str, Field(min_length=1, json_schema_extra=_PAIRS)] = "id"
    """Column of the records' ids."""

    score: Annotated[str, Field(min_length=1, json_schema_extra=_PAIRS)] = "probability"
    """Column of the machine's score, 0 to 1."""

    # --- crowd
    answers: Annotated[list[str], Field(json_schema_extra=_CROWD)] = []
    """Recorded answers (left_id, right_id, worker, label: 1 for the same, 0 for not): looked up when the plan asks. What
    they lack people are asked for, in wanted.csv of the run."""

    redundancy: Annotated[int, Field(ge=1, le=100, json_schema_extra=_CROWD)] = 3
    """Answers of people wanted of each pair, from different workers; recorded ones are taken as they are."""

    merge: Annotated[
        Literal["mv", "zc", "ds", "lfc", "glad", "pm", "catd", "mace"], Field(json_schema_extra=_CROWD)
    ] = "mv"
    """How answers to a pair are merged: by majority, or by a method that learns how reliable workers are. Those find more with
    thousands of answers (lfc, ds), and can fail with a few hundred, or where one worker gives all."""

    judges: Annotated[list[str], Field(json_schema_extra=_CROWD)] = []
    """Language models that answer instead of people, by their names at the server (--llm-url), each about every pair that is asked.
    What a model does not answer is left to the machine's score."""

    batch_size: Annotated[int, Field(ge=1, le=128, json_schema_extra=_CROWD)] = 8
    """Pairs in a request to a model."""

    simulate: Annotated[str, Field(json_schema_extra=_CROWD)] = ""
    """Instead of people: confusion matrices of workers (worker, truth, label, probability), as confusion.parquet of `sluice crowd
    aggregate`, from which answers are drawn. Needs --truth."""

    truth: Annotated[str, Field(json_schema_extra=_CROWD)] = ""
    """What is right: matching pairs (left_id, right_id, label) or clusters (cluster, table, id). Judges the result; --simulate errs from it."""

    # --- method
    method: Annotated[Literal["pivot", "deduce", "all"], Field(json_schema_extra=_METHOD)] = "pivot"
    """Crowd-pivot, which asks about the candidates of random records; transitive deduction, which asks less and believes every answer;
    or every pair that is not pruned."""

    refine: Annotated[bool, Field(json_schema_extra=_METHOD)] = True
    """Then split and merge clusters where a few more questions are expected to pay."""

    below: Annotated[float | None, Field(ge=0, le=1, json_schema_extra=_METHOD)] = None
    """Pairs with a score up to this are no match, without asking."""

    above: Annotated[float | None, Field(ge=0, le=1, json_schema_extra=_METHOD)] = None
    """Pairs with a score from this on are a match, without asking."""

    sample: Annotated[int, Field(ge=0, json_schema_extra=_METHOD)] = 0
    """Random pairs to ask first, which choose both bounds; instead of --below and --above."""

    error: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_METHOD)] = 0.01
    """Share of all pairs that these bounds may decide otherwise than the crowd, at most."""

    confidence: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_METHOD)] = 0.95
    """Of that bound, and of the interval of --audit."""

    audit: Annotated[float, Field(ge=0, lt=0.5, json_schema_extra=_METHOD)] = 0.0
    """Ask a random sample of what was not asked, until the share the crowd would decide otherwise (its own mistakes
    among them) is known to +- this; 0: do not."""

    # --- cost
    price: Annotated[float, Field(ge=0, json_schema_extra=_COST)] = 0.02
    """Price of an answer of a person, US dollars."""

    page_records: Annotated[int, Field(ge=2, le=1000, json_schema_extra=_COST)] = 10
    """Records on a page of wanted.csv: pairs that share records stand together."""

    @property
    def within(self) -> bool:
        """Whether all ids are of one table."""
        return self.one_table or bool(self.left and not self.right)

    @property
    def title(self) -> str:
        who = "a simulated crowd" if self.simulate else "models" if self.judges else "people"
        return f"{self.method}{' + refine' if self.refine else ''}, answers of {who}"
