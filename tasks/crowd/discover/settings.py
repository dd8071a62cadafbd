"""Settings of the flow: the form in the UI, the flags of `sluice crowd discover`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.corpus.settings import RowsSettings
from tasks.crowd.discover.collect import Stop
from tasks.run.settings import group

_ANSWERS = group("Answers")
_STOP = group("When to stop")


class DiscoverSettings(RowsSettings):
    """Collect things of a kind by asking people to name some, and know how many nobody has named yet."""

    # --- answers
    answers: Annotated[str, Field(json_schema_extra=_ANSWERS)] = ""
    """Answers that are there: CSV, JSON lines or Parquet with a worker and an entity in each row, in the order that they came in."""

    worker: Annotated[str, Field(min_length=1, json_schema_extra=_ANSWERS)] = "worker"
    """Column of the worker."""

    entity: Annotated[str, Field(min_length=1, json_schema_extra=_ANSWERS)] = "entity"
    """Column of the entity, as the worker wrote it."""

    replay: Annotated[bool, Field(json_schema_extra=_ANSWERS)] = False
    """Take the answers one batch after the other, and leave the rest when enough is known."""

    people: Annotated[bool, Field(json_schema_extra=_ANSWERS)] = False
    """Go on with people after the answers that are given, in a file to fill in; without answers they are asked anyway."""

    mapping: Annotated[str, Field(json_schema_extra=_ANSWERS)] = ""
    """Names that are the same entity: a file with the columns name and entity. similar.csv of a run shows which may be."""

    topic: Annotated[str, Field(json_schema_extra=_ANSWERS)] = ""
    """What people are asked to name, as "ice cream flavours"."""

    batch: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=_ANSWERS)] = 50
    """Answers that are asked for, or taken, at once."""

    # --- when to stop
    coverage: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_STOP)] = 0.95
    """Share that has to be known, at the lower end of its interval."""

    of: Annotated[Literal["answers", "entities"], Field(json_schema_extra=_STOP)] = "answers"
    """What the share is of. answers: of what people would go on to name (sample coverage); entities: of all entities (by Chao92), which takes
    far more answers where some are named rarely."""

    sure: Annotated[float, Field(gt=0.5, lt=1, json_schema_extra=_STOP)] = 0.95
    """Probability of the intervals, two-sided."""

    streakers: Annotated[bool, Field(json_schema_extra=_STOP)] = True
    """Correct for workers who alone named very many."""

    least_answers: Annotated[int, Field(ge=2, json_schema_extra=_STOP)] = 30
    """Answers before which nothing is concluded."""

    price: Annotated[float | None, Field(gt=0, json_schema_extra=_STOP)] = None
    """Price of an answer; with a value, stop too when what the next answer is expected to add is worth less."""

    value: Annotated[float | None, Field(gt=0, json_schema_extra=_STOP)] = None
    """What a new entity is worth, in the same money."""

    most_answers: Annotated[int, Field(ge=1, json_schema_extra=_STOP)] = 10_000
    """Answers of people to ask for at most."""

    @property
    def stop(self) -> Stop:
        """When enough is known."""
        return Stop(
            self.coverage, self.of, self.sure, self.streakers, self.least_answers, self.price, self.value
        )

    @property
    def asks(self) -> bool:
        """Whether people are asked."""
        return self.people or not self.answers

    @property
    def title(self) -> str:
        return self.topic or "entities"

    @model_validator(mode="after")
    def _fits(self) -> DiscoverSettings:
        if self.replay and not self.answers:
            raise ValueError("--replay: give the answers with --answers")
        if self.replay and self.people:
            raise ValueError("--replay and --people: take one of them")
        if (self.price is None) != (self.value is None):
            raise ValueError("--price and --value: give both, or neither")
        if self.worker == self.entity:
            raise ValueError("--worker and --entity: name two different columns")
        return self
