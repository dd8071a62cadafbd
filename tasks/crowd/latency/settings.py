"""Settings of the flow: the form in the UI, the flags of `sluice crowd latency`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tasks.corpus.settings import RowsSettings
from tasks.run.settings import group

_WORKERS = group("Workers")
_CAMPAIGN = group("Campaign")
_SHORTER = group("What shortens it")
_RETAINER = group("Retainer")


class LatencySettings(RowsSettings):
    """Say when a crowd will be done, what it will be paid, and how many workers to keep waiting."""

    # --- workers
    times: Annotated[str, Field(json_schema_extra=_WORKERS)] = ""
    """Recorded times that the model of workers is fitted to: CSV, JSON lines or Parquet with the columns worker, started and finished
    (seconds, or dates with a time of day). By default the model is what --median, --between and --within say."""

    median: Annotated[float | None, Field(gt=0, le=1e7, json_schema_extra=_WORKERS)] = None
    """Without --times: seconds of the median worker for a task; by default 30."""

    between: Annotated[float | None, Field(ge=0, le=3, json_schema_extra=_WORKERS)] = None
    """Without --times: standard deviation of the logarithm of workers' median times; by default 0.7."""

    within: Annotated[float | None, Field(ge=0, le=3, json_schema_extra=_WORKERS)] = None
    """Without --times: standard deviation of the logarithm of one worker's times; by default 0.5."""

    # --- campaign
    tasks: Annotated[int, Field(ge=1, le=1_000_000, json_schema_extra=_CAMPAIGN)] = 500
    """Tasks to be done."""

    redundancy: Annotated[int, Field(ge=1, le=100, json_schema_extra=_CAMPAIGN)] = 3
    """Answers that each task needs, of different workers."""

    pool: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=_CAMPAIGN)] = 10
    """Workers who are at it at once."""

    present: Annotated[int | None, Field(ge=0, le=10_000, json_schema_extra=_CAMPAIGN)] = None
    """Workers who are there at the beginning; the others of the pool come one after the other. By default all are there."""

    recruiting: Annotated[float | None, Field(ge=0, le=1e7, json_schema_extra=_CAMPAIGN)] = None
    """Seconds, in the mean, between new workers who come (a Poisson stream; who finds no place empty goes away). By default what --times
    shows, or else 60."""

    batch: Annotated[int, Field(ge=0, le=1_000_000, json_schema_extra=_CAMPAIGN)] = 0
    """Tasks of a round, the next of which begins when all of them are done; 0: all tasks at once."""

    price: Annotated[float, Field(ge=0, le=1e6, json_schema_extra=_CAMPAIGN)] = 0.02
    """Dollars for an answer, also for one that came too late."""

    runs: Annotated[int, Field(ge=20, le=100_000, json_schema_extra=_CAMPAIGN)] = 200
    """Campaigns that are simulated."""

    # --- what shortens it
    mitigation: Annotated[bool, Field(json_schema_extra=_SHORTER)] = False
    """Straggler mitigation: a worker who would be idle is given a task that others are still at; the first answers win."""

    slowest: Annotated[float | None, Field(gt=0, le=1e7, json_schema_extra=_SHORTER)] = None
    """Pool maintenance: seconds; a worker whose median is above them with 95 % confidence is replaced. By default nobody is."""

    compare: Annotated[bool, Field(json_schema_extra=_SHORTER)] = True
    """Show in the report what mitigation, maintenance, and both would change (maintenance at --slowest, or else at the median)."""

    # --- retainer
    tasks_per_hour: Annotated[float, Field(ge=0, le=1e7, json_schema_extra=_RETAINER)] = 0.0
    """Tasks that arrive one by one, and are to find a worker waiting; 0: no retainer pool is sized."""

    away: Annotated[float | None, Field(gt=0, le=1e7, json_schema_extra=_RETAINER)] = None
    """Seconds, in the mean, for which a worker who was given such a task leaves his place empty: until he is back, or until somebody else
    has come, if each place is recruited for on its own. By default the mean time for a task: he comes back."""

    lost: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_RETAINER)] = 0.01
    """Share of those tasks that may find nobody."""

    @property
    def title(self) -> str:
        return f"{self.tasks:,} tasks, {self.redundancy} answers each"

    @model_validator(mode="after")
    def _fits(self) -> LatencySettings:
        if self.pool < self.redundancy:
            raise ValueError(
                f"--pool {self.pool}: {self.redundancy} answers of different workers need as many workers at least"
            )
        if self.present is not None and self.present > self.pool:
            raise ValueError(f"--present {self.present}: the pool has {self.pool} (--pool)")
        for name in ("median", "between", "within"):
            if self.times and getattr(self, name) is not None:
                raise ValueError(f"--{name}: --times tells this; leave one of them out")
        return self
